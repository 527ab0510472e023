//! Rules on countries and autonomous systems compiled.

use std::sync::Arc;

use ipnet::IpNet;

use crate::{
    config::{
        Config, Spanned,
        schema::{Access, Unknown},
        value::ReadFile,
    },
    filter::{AddressBlocks, GeoRule, GeoRules, GeoTable},
};

/// The rules of a route; none without any.
pub(super) fn rules(config: &Config, written: &Access) -> Option<GeoRules> {
    let country = written.countries.as_ref().and_then(|it| {
        let table = config.geo.country.as_ref()?;
        Some(rule(table, &it.allow, &it.deny, it.unknown, &it.except))
    });
    let asn = written.asns.as_ref().and_then(|it| {
        let table = config.geo.asn.as_ref()?;
        Some(rule(table, &it.allow, &it.deny, it.unknown, &it.except))
    });
    (country.is_some() || asn.is_some()).then_some(GeoRules { country, asn })
}

fn rule<T: GeoTable>(
    table: &ReadFile<T>,
    allow: &[Spanned<T::Value>],
    deny: &[Spanned<T::Value>],
    unknown: Option<Unknown>,
    except: &[IpNet],
) -> GeoRule<T> {
    let listed_is_allowed = !allow.is_empty();
    let list = if listed_is_allowed { allow } else { deny };
    let mut listed: Vec<T::Value> = list.iter().map(|it| it.value).collect();
    listed.sort_unstable();
    listed.dedup();
    GeoRule {
        table: Arc::clone(&table.content),
        listed: listed.into(),
        listed_is_allowed,
        unknown_is_allowed: match unknown {
            Some(unknown) => unknown == Unknown::Allow,
            None => !listed_is_allowed,
        },
        except: (!except.is_empty()).then(|| AddressBlocks::new(except, &[])),
    }
}
