//! Faults that the running proxy found, as it tells them.

use std::{io, path::Path};

use serde_json::Value;

use super::{args::OutputFormat, print};

/// Shows the `faults` of an answer as faults of `file`, which is what was sent.
pub(super) fn show(told: &Value, file: &Path, format: OutputFormat) -> io::Result<()> {
    match format {
        OutputFormat::Json => print::json(told),
        OutputFormat::Text => print::remark(&text(told, file)),
    }
}

fn text(told: &Value, file: &Path) -> String {
    let faults = told.get("faults").and_then(Value::as_array);
    let blocks: Vec<String> = faults
        .into_iter()
        .flatten()
        .map(|fault| block(fault, file))
        .collect();
    if blocks.is_empty() {
        let error = told.get("error").and_then(Value::as_str);
        return format!("error: {}", error.unwrap_or("the proxy does not say why"));
    }
    blocks.join("\n\n")
}

fn block(fault: &Value, file: &Path) -> String {
    let word = |key| fault.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("{}: {}", word("severity"), word("message"));
    let number = |key| fault.get(key).and_then(Value::as_u64);
    match (number("line"), number("column")) {
        (Some(line), Some(column)) => {
            text.push_str(&format!("\n --> {}:{line}:{column}", file.display()));
        }
        _ => text.push_str(&format!("\n --> {}", file.display())),
    }
    if !word("hint").is_empty() {
        text.push_str(&format!("\n  = {}", word("hint")));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_fault_has_its_place_and_hint() {
        let told = json!({ "faults": [
            { "severity": "error", "message": "no such pool", "line": 3, "column": 8, "hint": "defined: \"a\"" },
            { "severity": "warning", "message": "odd", "line": null, "column": null, "hint": "" },
        ]});
        let expected = "error: no such pool\n --> new.toml:3:8\n  = defined: \"a\"\n\n\
                        warning: odd\n --> new.toml";
        assert_eq!(text(&told, Path::new("new.toml")), expected);
        let told = json!({ "error": "pool \"a\": too large" });
        assert_eq!(text(&told, Path::new("f")), "error: pool \"a\": too large");
    }
}
