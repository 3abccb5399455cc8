//! `sinew skill`: a plugin's life in the store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::json;
use sinew_runtime::InputError;
use sinew_runtime::skill_store::{Gate, SwapAt};
use sinew_runtime::skills::{self, Author, Change, Rehearsal, StoreOptions, StorePlace, Terms};

use crate::arguments::{
    ChangeArguments, ConfigArguments, LookArguments, RehearsalArguments, SkillCommand,
    StoreArguments, SwapAtArgument,
};
use crate::output::{self, Progress};
use crate::run;

/// The command of the child that looks into artifacts. It is no command for people.
pub(crate) const EXAMINE: &str = "examine-artifact";

pub(crate) fn skill(what: SkillCommand) -> anyhow::Result<bool> {
    match what {
        SkillCommand::Keygen {
            file,
            publisher,
            json,
        } => {
            let key = skills::keygen(&file)?;
            let text = format!("[[publishers.{publisher}.keys]]\nkey = \"{key}\"");
            output::result(&json, &json!({ "public_key": key, "file": file }), &text)?;
            Ok(true)
        }
        SkillCommand::Check { file, json, config } => {
            let checked = skills::check(&options(None, &config)?, &file)?;
            output::result(&json, &checked, &checked.to_text())?;
            Ok(true)
        }
        SkillCommand::Test {
            file,
            how,
            json,
            config,
        } => {
            let mut progress = Progress::new();
            let tried = skills::test(
                &options(None, &config)?,
                &file,
                &rehearsal(&how)?,
                &mut |line| progress.now(line),
            )?;
            drop(progress);
            output::result(&json, &tried, &tried.to_text())?;
            Ok(tried.passed)
        }
        SkillCommand::Pack {
            component,
            manifest,
            out,
            json,
        } => {
            let change = skills::pack(&component, &manifest, &out)?;
            output::result(&json, &change, &change.to_text())?;
            Ok(true)
        }
        SkillCommand::Sign {
            file,
            key,
            out,
            json,
        } => {
            let change = skills::sign(&file, &key, out.as_deref().unwrap_or(&file))?;
            output::result(&json, &change, &change.to_text())?;
            Ok(true)
        }
        SkillCommand::Install {
            file,
            unsigned,
            rehearse,
            floor,
            params,
            change,
        } => {
            let how = rehearse.map(|runs| RehearsalArguments {
                runs,
                seed: 1,
                floor,
                params,
                profile: "calm".to_owned(),
            });
            let how = how.as_ref().map(rehearsal).transpose()?;
            let mut progress = Progress::new();
            changed(&change, |options, author| {
                let mut tell = |line: &str| progress.now(line);
                skills::install(options, author, &file, unsigned, how.as_ref(), &mut tell)
            })
        }
        SkillCommand::List { look } => {
            let listed = skills::list(&options(Some(&look.store), &look.config)?)?;
            output::result(&look.json, &listed, &listed.to_text())?;
            Ok(true)
        }
        SkillCommand::Show { which, look } => {
            let options = options(Some(&look.store), &look.config)?;
            let shown = skills::show(&options, &which.plugin)?;
            output::result(&look.json, &shown, &shown.to_text())?;
            Ok(true)
        }
        SkillCommand::Activate {
            which,
            at,
            downgrade,
            again,
            probation,
            failures,
            change,
        } => {
            let terms = Terms {
                downgrade,
                again,
                swap_at: match at {
                    SwapAtArgument::NextTask => SwapAt::NextTask,
                    SwapAtArgument::SafePoint => SwapAt::SafePoint,
                    SwapAtArgument::Now => SwapAt::Now,
                },
                gate: Gate {
                    runs: probation,
                    failures: failures.unwrap_or(probation / 5),
                },
            };
            changed(&change, |options, author| {
                skills::activate(options, author, &which.plugin, &terms)
            })
        }
        SkillCommand::Rollback {
            which,
            reason,
            change,
        } => changed(&change, |options, author| {
            skills::rollback(options, author, &which.plugin, &reason)
        }),
        SkillCommand::Remove {
            which,
            active,
            change,
        } => changed(&change, |options, author| {
            skills::remove(options, author, &which.plugin, active)
        }),
        SkillCommand::Pin { which, off, change } => changed(&change, |options, author| {
            skills::pin(options, author, &which.plugin, !off)
        }),
    }
}

/// Changes something in a store, and says what.
pub(crate) fn changed(
    how: &ChangeArguments,
    work: impl FnOnce(&StoreOptions, &Author) -> anyhow::Result<Change>,
) -> anyhow::Result<bool> {
    let LookArguments {
        store,
        json,
        config,
    } = &how.look;
    let author = Author {
        actor: how.by.actor.clone(),
        audit: how.by.audit.clone(),
    };
    let options = options(Some(store), config)?;
    let change = work(&options, &author).map_err(|error| options.complete(error, &author))?;
    output::result(json, &change, &change.to_text())?;
    Ok(true)
}

/// Without a store: for commands that need none.
fn options(
    store: Option<&StoreArguments>,
    config: &ConfigArguments,
) -> anyhow::Result<StoreOptions> {
    let nowhere = PathBuf::new();
    let place = match store {
        Some(store) => place(&store.store, store.trust.as_ref()),
        None => place(&nowhere, None),
    };
    Ok(StoreOptions {
        place: place?,
        built_in: run::plugins(&[])?,
        sources: run::sources(config),
    })
}

/// Where a store is, and who looks into what comes out of it.
pub(crate) fn place(folder: &Path, trust: Option<&PathBuf>) -> anyhow::Result<StorePlace> {
    Ok(StorePlace {
        folder: folder.to_owned(),
        trust: trust.cloned(),
        examiner: examiner()?,
    })
}

/// What looks into artifacts: this program, started anew.
pub(crate) fn examiner() -> anyhow::Result<Vec<OsString>> {
    Ok(vec![run::this_program()?, EXAMINE.into()])
}

fn rehearsal(how: &RehearsalArguments) -> anyhow::Result<Rehearsal> {
    Ok(Rehearsal {
        runs: how.runs,
        seed: how.seed,
        floor: how.floor,
        params: how.params.as_deref().map(run::parameters).transpose()?,
        profile: how.profile.clone(),
        interrupt: run::interrupt().map_err(|error| InputError(error.to_string()))?,
    })
}
