//! Commands that a message proposes: pasted, they go to the store that was meant, with the same grants and log.

use std::path::Path;

use super::{STORE_DEFAULT, StorePlace};
use crate::safety_change::AUDIT_DEFAULT;
use crate::trouble::{InputError, Refused, input, refused};

/// What every proposed command that changes a store is written with.
const ACTOR: &str = "--actor NAME";

impl StorePlace {
    /// What a command has to be told to come here, with these grants.
    pub(crate) fn flags(&self, grants: Option<&Path>) -> String {
        let store = match &self.folder {
            folder if folder.as_path() == Path::new(STORE_DEFAULT) => String::new(),
            folder => format!(" --store {}", pasted(folder)),
        };
        format!("{store}{}{}", grants_flag(grants), self.trust_flag())
    }

    pub(super) fn trust_flag(&self) -> String {
        (self.trust.as_ref()).map_or_else(String::new, |file| format!(" --trust {}", pasted(file)))
    }
}

pub(super) fn grants_flag(grants: Option<&Path>) -> String {
    grants.map_or_else(String::new, |file| format!(" --grants {}", pasted(file)))
}

/// The same for an audit log.
pub(crate) fn audit_flag(log: &Path) -> String {
    match log {
        log if log == Path::new(AUDIT_DEFAULT) => String::new(),
        log => format!(" --audit {}", pasted(log)),
    }
}

/// A text in which the commands that change a store have these flags, too.
pub(crate) fn with_flags(text: &str, flags: &str) -> String {
    let mut pieces = text.split("sinew ");
    let mut done = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        done.push_str("sinew ");
        // Commands of other families know no such flags.
        if piece.starts_with("skill ") || piece.starts_with("grants approve ") {
            done.push_str(&piece.replacen(ACTOR, &format!("{ACTOR}{flags}"), 1));
        } else {
            done.push_str(piece);
        }
    }
    done
}

/// A refusal, or input that can't be used, with such a text.
pub(crate) fn complete(error: anyhow::Error, flags: &str) -> anyhow::Error {
    if flags.is_empty() || error.chain().count() > 1 {
        return error;
    }
    match error.downcast::<Refused>() {
        Ok(Refused(text)) => refused(with_flags(&text, flags)),
        Err(error) => match error.downcast::<InputError>() {
            Ok(InputError(text)) => input(with_flags(&text, flags)),
            Err(error) => error,
        },
    }
}

/// A path as it can be pasted into a shell, behind an option or a command.
pub(crate) fn pasted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+:@%,=-".contains(c);
    if text.starts_with('-') {
        return pasted(&Path::new(".").join(path));
    }
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_change_a_store_and_no_others_get_its_flags() {
        let text = "say `sinew skill activate a/b@VERSION --actor NAME`, or `sinew skill remove a/b@1 --active --actor NAME`; \
                    `sinew skill list` says more, and `sinew robot reset --actor NAME` is something else";
        let flags = " --store 's s'";
        let expected = "say `sinew skill activate a/b@VERSION --actor NAME --store 's s'`, or `sinew skill remove a/b@1 --active --actor \
                        NAME --store 's s'`; `sinew skill list` says more, and `sinew robot reset --actor NAME` is something else";
        assert_eq!(with_flags(text, flags), expected);
        let error = complete(refused(text), flags);
        assert!(error.is::<Refused>());
        assert_eq!(error.to_string(), expected);
        assert_eq!(complete(input(text), flags).to_string(), expected);
    }
}
