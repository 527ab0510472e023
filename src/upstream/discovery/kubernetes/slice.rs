//! One EndpointSlice, as the API server describes it, and the endpoints in it.
//!
//! Source: the API `discovery.k8s.io/v1`; of `v1beta1`, the one of Kubernetes 1.17 to 1.20, what
//! differs is read as well: the zone and the node of an endpoint are in `topology`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{super::Skipped, KubernetesSource};
use crate::{
    config::value::{EndpointAddress, KubernetesPort, host_with_port},
    upstream::endpoint::Endpoint,
};

/// Endpoints of one slice.
#[derive(Debug, Default)]
pub(super) struct Slice {
    /// Service that it belongs to.
    pub(super) service: String,
    pub(super) members: Vec<Member>,
    /// Parts that cannot be used.
    pub(super) faults: Skipped,
}

/// One endpoint of a slice.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    pub(super) port: u16,
    pub(super) state: State,
    /// Identity of its pod, if it has one.
    pub(super) pod: Option<String>,
    pub(super) family: Family,
}

/// Conditions of an endpoint, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Its pod ends, and does not serve any more.
    Terminating,
    /// It does not pass its readiness probe.
    NotReady,
    /// Its pod ends, and still passes its readiness probe.
    Leaving,
    Ready,
}

/// Family of an address; the one that is preferred last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Name,
    V6,
    V4,
}

/// The part that all objects have.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    pub(super) metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    /// Empty for a bookmark.
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) resource_version: String,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    address_type: String,
    endpoints: Option<Vec<WrittenEndpoint>>,
    ports: Option<Vec<WrittenPort>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEndpoint {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
    target_ref: Option<TargetRef>,
    node_name: Option<String>,
    zone: Option<String>,
    /// Of `v1beta1`.
    topology: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct TargetRef {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
}

#[derive(Debug, Deserialize)]
struct WrittenPort {
    name: Option<String>,
    port: Option<i64>,
    protocol: Option<String>,
}

impl Slice {
    /// Reads a slice of a namespace; a fault in it is told in [`Slice::faults`].
    pub(super) fn read(
        text: &RawValue,
        metadata: Metadata,
        settings: &KubernetesSource,
        namespace: &str,
    ) -> Self {
        let name = metadata.name;
        let labels = metadata.labels.unwrap_or_default();
        let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
        let mut slice = Self::default();
        let service = label(SERVICE);
        if let Some(other) = metadata.namespace.filter(|it| it != namespace) {
            let fault = format_args!("{name}: it is of the namespace {other}, not of {namespace}");
            slice.faults.add(fault);
            return slice;
        }
        if !settings.services.contains(&service) {
            let asked = settings.services.join(", ");
            let fault = format_args!("{name}: it is of the Service \"{service}\", not of {asked}");
            slice.faults.add(fault);
            return slice;
        }
        slice.service = service;
        let written: Written = match serde_json::from_str(text.get()) {
            Ok(written) => written,
            Err(error) => {
                slice.faults.add(format_args!("{name}: {error}"));
                return slice;
            }
        };
        let written_type = written.address_type;
        let endpoints = written.endpoints.unwrap_or_default();
        if endpoints.is_empty() {
            return slice;
        }
        let ports = written.ports.unwrap_or_default();
        let port = match port(&ports, settings.port.as_ref()) {
            Ok(port) => port,
            Err(fault) => {
                slice.faults.add(format_args!("{name}: {fault}"));
                return slice;
            }
        };
        let version = label(&settings.version_label);
        let version = version.strip_prefix('v').unwrap_or(&version);
        let version: Option<semver::Version> = version.parse().ok();
        for written in endpoints {
            let member = written.member(&written_type, port, &slice.service, version.as_ref());
            match member {
                Ok(member) => slice.members.push(member),
                Err(fault) => slice.faults.add_with(|| format!("{name}: {fault}")),
            }
        }
        slice
    }

    /// Number of its endpoints, those that cannot be used included.
    pub(super) fn entries(&self) -> usize {
        self.members.len() + self.faults.count()
    }

    /// Bytes of the texts that are kept of it beside its name.
    pub(super) fn bytes(&self) -> usize {
        let faults = self.faults.first().iter().map(String::len);
        let members = self.members.iter().map(Member::bytes);
        self.service.len() + faults.sum::<usize>() + members.sum::<usize>()
    }
}

impl Member {
    fn bytes(&self) -> usize {
        let Endpoint {
            label,
            version_label,
            zone,
            labels,
            ..
        } = &self.endpoint;
        let labels = labels.iter().map(|(key, value)| key.len() + value.len());
        // The version is there as text and in parts.
        let version = version_label.as_deref();
        let texts = [version, version, zone.as_deref(), self.pod.as_deref()];
        let texts = texts.into_iter().flatten().map(str::len);
        label.len() + labels.sum::<usize>() + texts.sum::<usize>()
    }
}

impl WrittenEndpoint {
    fn member(
        self,
        address_type: &str,
        port: u16,
        service: &str,
        version: Option<&semver::Version>,
    ) -> Result<Member, String> {
        // The others of the list mean the same, and nobody uses them.
        let written = self.addresses.first().ok_or("an endpoint has no address")?;
        let family = family(address_type, written)?;
        if is_link_local(written) {
            return Err(format!(
                "{written} is a link-local address, which Kubernetes does not allow in slices"
            ));
        }
        let address = EndpointAddress::parse(&host_with_port(written, port), Path::new("/"));
        let address = address.map_err(|mismatch| mismatch.message)?;
        let topology = self.topology.unwrap_or_default();
        let zone = self.zone.or_else(|| topology.get(ZONE).cloned());
        let node = self.node_name.or_else(|| topology.get(NODE).cloned());
        let (pod, uid) = match self.target_ref {
            Some(target) => (Some(target.name), Some(target.uid)),
            None => (None, None),
        };
        let told = [
            ("service", Some(service.to_owned())),
            ("pod", pod),
            ("node", node),
        ];
        let told = told.into_iter().filter_map(|(key, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some((key.to_owned(), value))
        });
        Ok(Member {
            endpoint: Endpoint {
                zone: zone.map(Into::into),
                labels: told.collect(),
                ..Endpoint::new(address, version.cloned())
            },
            port,
            state: self.conditions.state(),
            pod: uid.filter(|uid| !uid.is_empty()),
            family,
        })
    }
}

impl Conditions {
    /// An unknown condition is a good one. `ready` is true for a pod that ends if its Service
    /// publishes addresses that are not ready: its owner wants that.
    fn state(&self) -> State {
        let ready = self.ready.unwrap_or(true);
        let serving = self.serving.unwrap_or(ready);
        match (ready, self.terminating.unwrap_or(false)) {
            (true, _) => State::Ready,
            (false, true) if serving => State::Leaving,
            (false, true) => State::Terminating,
            (false, false) => State::NotReady,
        }
    }
}

/// Returns the family of an address, which must be of its slice's type.
fn family(address_type: &str, address: &str) -> Result<Family, String> {
    let family = match address_type {
        "IPv4" => address.parse::<Ipv4Addr>().ok().map(|_| Family::V4),
        "IPv6" => address.parse::<Ipv6Addr>().ok().map(|_| Family::V6),
        "FQDN" => is_name(address).then_some(Family::Name),
        other => return Err(format!("addresses of the type {other} are not known")),
    };
    family.ok_or_else(|| format!("{address} is no address of the type {address_type}"))
}

/// Returns true for an address within one network, such as that of a cloud's metadata. Kubernetes
/// refuses them in slices; who may write a slice must not lead requests there.
fn is_link_local(address: &str) -> bool {
    match address.parse::<IpAddr>().map(|it| it.to_canonical()) {
        Ok(IpAddr::V4(it)) => it.is_link_local(),
        Ok(IpAddr::V6(it)) => it.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// Returns true for what may be the name of a host: nothing that has a meaning in addresses.
fn is_name(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.bytes().all(is_good)
}

/// Returns the port of the endpoints of a slice.
fn port(ports: &[WrittenPort], wanted: Option<&KubernetesPort>) -> Result<u16, String> {
    let is_tcp = |port: &&WrittenPort| port.protocol.as_deref().unwrap_or("TCP") == "TCP";
    let of_tcp: Vec<&WrittenPort> = ports.iter().filter(is_tcp).collect();
    let found = match wanted {
        None if of_tcp.len() > 1 => {
            let all = shown(&of_tcp);
            return Err(format!(
                "it has several ports, {all}: set \"port\" to one of them"
            ));
        }
        None => of_tcp.first(),
        Some(KubernetesPort::Name(name)) => of_tcp
            .iter()
            .find(|port| port.name.as_deref().unwrap_or_default() == name),
        // Endpoints without a list of ports, or with one that stands for all, have every port.
        Some(KubernetesPort::Number(number))
            if ports.is_empty() || of_tcp.iter().any(|port| port.port.is_none()) =>
        {
            return Ok(*number);
        }
        Some(KubernetesPort::Number(number)) => of_tcp
            .iter()
            .find(|port| port.port == Some(i64::from(*number))),
    };
    let number = found.and_then(|port| port.port);
    let number = number.and_then(|number| u16::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        let all = shown(&of_tcp);
        match wanted {
            Some(wanted) if !of_tcp.is_empty() => format!("it has no port {wanted}, but {all}"),
            Some(wanted) => format!("it has no port {wanted}, and no other of TCP"),
            None => "it has no port of TCP: set \"port\" to the number that the pods listen on"
                .to_owned(),
        }
    })
}

fn shown(ports: &[&WrittenPort]) -> String {
    let shown = ports.iter().map(|port| {
        let number = port
            .port
            .map_or_else(|| "any".to_owned(), |port| port.to_string());
        match port.name.as_deref().unwrap_or_default() {
            "" => number,
            name => format!("\"{name}\" ({number})"),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Label of a slice with the name of its Service.
const SERVICE: &str = "kubernetes.io/service-name";
const ZONE: &str = "topology.kubernetes.io/zone";
const NODE: &str = "kubernetes.io/hostname";
