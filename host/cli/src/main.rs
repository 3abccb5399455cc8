//! `sinew`: the host on the command line.
//!
//! Results go to standard output, progress and errors to standard error. Exit codes: 0 the goal was
//! reached, 1 it ran and the goal was not reached, 2 wrong usage or input, 3 the host could not be
//! reached, 4 refused.

mod allocations;
mod arguments;
mod audit;
mod bench;
mod commands;
mod output;
mod report;
mod robot;
mod run;
mod skill;

use std::process::ExitCode;

use clap::Parser as _;
use sinew_runtime::{InputError, Refused};

use crate::arguments::{Cli, Command};

/// It ran, and the goal was not reached.
const NOT_REACHED: u8 = 1;
/// Wrong usage or input.
const WRONG_INPUT: u8 = 2;
/// Refused by a grant, a role or the safety layer.
const REFUSED: u8 = 4;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        // Before the words of the parser, which are long: whoever meant to stop the robot has to know.
        if error.use_stderr() && robot::means_to_stop(std::env::args_os().skip(1)) {
            output::tell(format_args!("sinew: {}\n", sinew_runtime::robot::NOT_GIVEN));
        }
        error.exit()
    });
    let command = cli.command.unwrap_or(Command::Run(cli.run));
    match commands::dispatch(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_REACHED),
        Err(error) => {
            output::tell(format_args!(
                "sinew: {}\n",
                output::plain(&in_words(&error))
            ));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The error and its causes, each said once.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<Refused>()) {
        REFUSED
    } else if error.chain().any(|cause| cause.is::<InputError>()) {
        WRONG_INPUT
    } else {
        NOT_REACHED
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn exit_codes_survive_added_context() {
        let check = |error: anyhow::Error, expected| assert_eq!(exit_code(&error), expected);
        check(anyhow::anyhow!("anything"), NOT_REACHED);
        check(InputError("no such class".into()).into(), WRONG_INPUT);
        let wrapped = Err::<(), _>(Refused("no grant".into())).context("loading a plugin");
        check(wrapped.expect_err("it is an error"), REFUSED);
    }

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::anyhow!("inner")
            .context("outer: inner")
            .context("outermost");
        assert_eq!(in_words(&error), "outermost: outer: inner");
    }
}
