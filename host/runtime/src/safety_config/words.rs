//! What is shown, as a person reads it.

use super::{Compared, Shown};

impl Shown {
    /// That it can be used, its hash, what is odd about it, and what it leaves out.
    #[must_use]
    pub fn verdict(&self) -> String {
        let mut lines = vec![format!(
            "{:?} fits {}: safety configuration {}",
            self.name, self.robot, self.hash
        )];
        lines.extend(self.warnings.iter().map(|odd| {
            format!(
                "warning: {}:{}: `{}` is {}",
                self.origin, odd.line, odd.key, odd.problem
            )
        }));
        lines.extend(left_out(&self.not_checked));
        lines.join("\n")
    }

    /// The table.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![self.verdict()];
        if self.active {
            lines.push(format!("active ({})", self.origin));
        }
        lines.extend(self.log_warning.iter().map(|odd| format!("warning: {odd}")));
        let mut last = "";
        for number in &self.quantities {
            let value = format!("{} {}", number.value, number.unit);
            match &number.of {
                Some(of) if number.key == last => {
                    lines.push(format!("  {:<34} {of:<16} {value}", ""));
                }
                Some(of) => lines.push(format!("  {:<34} {of:<16} {value}", number.key)),
                None => lines.push(format!("  {:<34} {:<16} {value}", number.key, "")),
            }
            last = &number.key;
        }
        lines.push(format!(
            "  {:<34} {:<16} {}",
            "force.reaction", "", self.force_reaction
        ));
        for (name, words) in &self.zones {
            let name = format!("{name:?}");
            lines.push(format!("  {:<34} {name:<16} {words}", "zone"));
        }
        lines.push(self.statement.to_owned());
        lines.join("\n")
    }
}

impl Compared {
    /// The difference.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!("from {} to {}", self.hash_a, self.hash_b)];
        lines.extend(difference_lines(&self.looser, &self.tighter, &self.other));
        if lines.len() == 1 {
            lines.push("nothing changes".to_owned());
        }
        lines.extend(left_out(&self.not_checked));
        lines.join("\n")
    }
}

/// What changes, what lets more happen first.
pub(crate) fn difference_lines(
    looser: &[String],
    tighter: &[String],
    other: &[String],
) -> Vec<String> {
    let mut lines = Vec::new();
    for (title, list) in [
        ("LOOSER", looser),
        ("tighter", tighter),
        ("neither, or both", other),
    ] {
        if !list.is_empty() {
            lines.push(format!("{title}:"));
            lines.extend(list.iter().map(|words| format!("  {words}")));
        }
    }
    lines
}

/// A line about checks that are left out, if any are.
fn left_out(checks: &[&str]) -> Option<String> {
    (!checks.is_empty()).then(|| format!("not checked: {}", checks.join(", ")))
}
