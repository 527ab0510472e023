//! Text form of faults found by the running proxy.

use std::path::Path;

use crate::config::FaultView;

/// Formats the faults of an answer as faults of `file`, whose content was sent.
pub(super) fn text(faults: &[FaultView], error: Option<&str>, file: &Path) -> String {
    let blocks: Vec<String> = faults.iter().map(|fault| block(fault, file)).collect();
    if blocks.is_empty() {
        return format!("error: {}", error.unwrap_or("the proxy does not say why"));
    }
    blocks.join("\n\n")
}

fn block(fault: &FaultView, file: &Path) -> String {
    let mut text = format!("{}: {}", fault.severity.word(), fault.message);
    text.push_str(&format!("\n --> {}", file.display()));
    if let (Some(line), Some(column)) = (fault.line, fault.column) {
        text.push_str(&format!(":{line}:{column}"));
    }
    if !fault.hint.is_empty() {
        text.push_str(&format!("\n  = {}", fault.hint));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    #[test]
    fn each_fault_has_its_place_and_hint() {
        let faults = [
            FaultView {
                severity: Severity::Error,
                message: "no such pool".to_owned(),
                file: "sent.toml".to_owned(),
                line: Some(3),
                column: Some(8),
                hint: "defined: \"a\"".to_owned(),
            },
            FaultView {
                severity: Severity::Warning,
                message: "odd".to_owned(),
                file: "sent.toml".to_owned(),
                line: None,
                column: None,
                hint: String::new(),
            },
        ];
        let expected = "error: no such pool\n --> new.toml:3:8\n  = defined: \"a\"\n\n\
                        warning: odd\n --> new.toml";
        assert_eq!(text(&faults, None, Path::new("new.toml")), expected);
        let error = "pool \"a\": too large";
        let shown = text(&[], Some(error), Path::new("f"));
        assert_eq!(shown, "error: pool \"a\": too large");
    }
}
