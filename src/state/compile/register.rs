//! Compiles `register` of a listener.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use http::HeaderName;

use crate::{
    config::{
        schema::{self, RegisterCheckKind, Registry},
        value::{BindAddress, HttpUrl, Secret, host_with_port},
    },
    fetch::Target,
    socket::hostname,
    upstream::{
        consul::{ConsulCheck, ConsulService},
        registration::{
            ConsulRegistration, EtcdRegistration, EurekaRegistration, Instance, RegistrationSpec,
            ZooKeeperRegistration,
        },
    },
};

/// Address that is announced; the host is empty where the registry gives it.
struct Announced {
    host: String,
    port: u16,
}

/// Returns the entry of a listener, if it has one.
pub(super) fn build(listener: &schema::Listener) -> Option<Arc<RegistrationSpec>> {
    let register = listener.register.as_ref()?;
    let bound = match &listener.address {
        BindAddress::Tcp(bound) => Some(*bound),
        BindAddress::Unix(_) => None,
    };
    let specific = bound.filter(|bound| !bound.ip().is_unspecified());
    let host = register.address.clone();
    let announced = Announced {
        host: host
            .or_else(|| specific.map(|bound| bound.ip().to_string()))
            .unwrap_or_default(),
        // The check refuses a missing one.
        port: register
            .port
            .or_else(|| bound.map(|bound| bound.port()))
            .unwrap_or_default(),
    };
    Some(Arc::new(match &register.registry {
        Registry::Consul(consul) => {
            RegistrationSpec::Consul(Box::new(self::consul(listener, consul, announced)))
        }
        Registry::Etcd(etcd) => RegistrationSpec::Etcd(Box::new(EtcdRegistration {
            settings: Arc::new(super::etcd::registry(etcd)),
            prefix: etcd.prefix.clone(),
            id: etcd.id.clone().unwrap_or_else(|| announced.named("-")),
            ttl: etcd.ttl,
            instance: announced.instance(listener, &etcd.meta),
        })),
        Registry::ZooKeeper(zookeeper) => {
            RegistrationSpec::ZooKeeper(Box::new(ZooKeeperRegistration {
                servers: zookeeper.servers.clone(),
                path: zookeeper.path.clone(),
                id: zookeeper.id.clone().unwrap_or_else(|| announced.named("-")),
                session: zookeeper.session,
                login: zookeeper.user.clone().zip(zookeeper.password.clone()),
                instance: announced.instance(listener, &zookeeper.meta),
            }))
        }
        Registry::Eureka(eureka) => {
            RegistrationSpec::Eureka(Box::new(self::eureka(listener, eureka, &announced)))
        }
    }))
}

impl Announced {
    /// Host and port with this between them.
    fn named(&self, between: &str) -> String {
        format!("{}{between}{}", self.host, self.port)
    }

    fn instance(&self, listener: &schema::Listener, meta: &BTreeMap<String, String>) -> Instance {
        Instance {
            host: self.host.clone(),
            port: self.port,
            tls: listener.tls.is_some(),
            meta: meta.clone(),
        }
    }
}

fn eureka(
    listener: &schema::Listener,
    written: &schema::RegisterEureka,
    announced: &Announced,
) -> EurekaRegistration {
    let target = |url: &HttpUrl| Target {
        url: url.clone(),
        ca: written.ca.clone(),
        secrets: super::pool::bearer(written.token.as_ref()),
    };
    let id = written.id.clone();
    EurekaRegistration {
        servers: written.servers.iter().map(target).collect(),
        app: written.app.clone(),
        id: id.unwrap_or_else(|| {
            let between = format!(":{}:", written.app.to_lowercase());
            announced.named(&between)
        }),
        interval: written.interval,
        instance: announced.instance(listener, &written.meta),
    }
}

fn consul(
    listener: &schema::Listener,
    written: &schema::RegisterConsul,
    announced: Announced,
) -> ConsulRegistration {
    let check = written.check.as_ref();
    let deregister_after = check.map_or(DEREGISTER, |check| check.deregister_after);
    let asked = || asked_at(&listener.address, &announced);
    let check = match check.map(|check| &check.kind) {
        None => ConsulCheck::Told(TTL),
        Some(RegisterCheckKind::Ttl(ttl)) => ConsulCheck::Told(*ttl),
        Some(RegisterCheckKind::Http(http)) => {
            let scheme = if listener.tls.is_some() {
                "https"
            } else {
                "http"
            };
            ConsulCheck::Http {
                url: format!("{scheme}://{}{}", asked(), http.path.0),
                interval: http.interval,
                timeout: http.timeout,
            }
        }
        Some(RegisterCheckKind::Tcp(tcp)) => ConsulCheck::Tcp {
            address: asked(),
            interval: tcp.interval,
            timeout: tcp.timeout,
        },
    };
    let id = written.id.clone();
    ConsulRegistration {
        target: Target {
            url: written.address.clone(),
            ca: written.ca.clone(),
            secrets: token(written.token.as_ref()),
        },
        service: ConsulService {
            id: id.unwrap_or_else(|| default_id(&written.service, &announced)),
            name: written.service.clone(),
            tags: written.tags.clone(),
            meta: written.meta.clone(),
            check,
            deregister_after,
            address: announced.host,
            port: announced.port,
        },
    }
}

/// Returns the agent that a configuration is kept at.
pub fn consul_target(written: &schema::ConfigConsul) -> Target {
    Target {
        url: written.address.clone(),
        ca: written.ca.clone(),
        secrets: token(written.token.as_ref()),
    }
}

/// Returns the agent that the progress of rollouts is kept at.
pub fn rollout_agent(written: &schema::RolloutConsul) -> Target {
    Target {
        url: written.address.clone(),
        ca: written.ca.clone(),
        secrets: token(written.token.as_ref()),
    }
}

/// Returns the header of Consul's ACL token.
pub(super) fn token(token: Option<&Secret>) -> Vec<(HeaderName, &'static str, Secret)> {
    let token = token.map(|token| (HeaderName::from_static("x-consul-token"), "", token.clone()));
    token.into_iter().collect()
}

/// Address at which the agent checks the listener: the agent runs on the same machine, unless an
/// address is announced.
fn asked_at(bound: &BindAddress, announced: &Announced) -> String {
    let host = match bound {
        BindAddress::Tcp(bound) if announced.host.is_empty() => match bound {
            SocketAddr::V4(_) => "127.0.0.1",
            SocketAddr::V6(_) => "::1",
        },
        BindAddress::Tcp(_) | BindAddress::Unix(_) => &announced.host,
    };
    host_with_port(host, announced.port)
}

/// Returns the id of an entry that has none of its own: the same after a restart.
fn default_id(service: &str, announced: &Announced) -> String {
    let host = match &*announced.host {
        "" => hostname(),
        host => host.to_owned(),
    };
    format!("{service}-{host}-{}", announced.port)
}

/// Default of the time within which the proxy tells Consul that it works.
const TTL: std::time::Duration = std::time::Duration::from_secs(15);
/// Default of the time after which Consul removes a service that is critical.
const DEREGISTER: std::time::Duration = std::time::Duration::from_secs(60);
