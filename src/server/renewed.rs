//! Renewed files of certificates, authorities and revocation lists, by name in log and event.

use serde_json::{Value, json};

use crate::tls::Renewed;

/// Logs a part that is in use now, and returns it for the event.
pub(super) fn tell(of: &str, name: &str, renewed: &Renewed) -> Vec<Value> {
    match renewed {
        Renewed::Certificate(file) => {
            let file = file.display().to_string();
            tracing::info!(
                of,
                name,
                certificate = file,
                "a renewed certificate is in use"
            );
            vec![json!({ "certificate": file })]
        }
        Renewed::Authorities(file) => {
            let file = file.display().to_string();
            tracing::info!(of, name, file, "renewed authorities are in use");
            vec![json!({ "authorities": file })]
        }
        Renewed::RevocationLists(lists) => {
            let file = lists.path.display().to_string();
            let in_use = lists.in_use().take(LISTS_MAX).map(|list| {
                let (issuer, number) = (list.issuer, list.number);
                let due = list.next_update_text;
                tracing::info!(
                    of,
                    name,
                    file,
                    issuer,
                    number,
                    due,
                    "a renewed revocation list is in use"
                );
                json!({ "revocation_list": file, "issuer": issuer, "number": number, "due": due })
            });
            in_use.collect()
        }
    }
}

/// Logs what an operator should know about the new content.
pub(super) fn tell_warnings(of: &str, name: &str, warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(of, name, "client_crl {warning}");
    }
}

/// Maximum number of lists of one file that are told one by one.
const LISTS_MAX: usize = 32;
