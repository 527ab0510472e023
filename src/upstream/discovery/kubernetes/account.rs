//! Address of the API server and credentials for it: from the settings, else from what a pod is
//! given.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderValue, header};

use super::KubernetesSource;
use crate::{
    config::value::{HttpUrl, host_with_port},
    fetch::{Ask, Target},
    file,
};

/// The way to an API server.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) target: Target,
    pub(super) namespace: String,
    /// File of the token, which is read for each request; none: the target has one, or none is sent.
    token: Option<PathBuf>,
}

impl Account {
    /// Finds it; reads the namespace of the pod if none is set.
    ///
    /// # Errors
    /// The missing part, in words.
    pub(super) async fn find(
        settings: &KubernetesSource,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let url = match &settings.address {
            Some(url) => url.clone(),
            None => in_cluster(variable)?,
        };
        let folder = match (&settings.account, &settings.address) {
            (Some(folder), _) => Some(folder.clone()),
            (None, None) => Some(PathBuf::from(FOLDER)),
            (None, Some(_)) => None,
        };
        let below = |file: &str| folder.as_ref().map(|folder| folder.join(file));
        let namespace = match (&settings.namespace, below("namespace")) {
            (Some(name), _) => name.clone(),
            (None, Some(path)) => read(path, "the namespace").await?,
            (None, None) => return Err("no namespace is set".to_owned()),
        };
        let ca = settings.ca.clone().or_else(|| below("ca.crt"));
        let has_other = settings.token.is_some() || settings.client.is_some();
        let token = settings.token.clone();
        let token = token.map(|token| (header::AUTHORIZATION, "Bearer ", token));
        Ok(Self {
            // Without TLS anybody on the way could take the token.
            token: below("token").filter(|_| url.tls && !has_other),
            target: Target {
                ca: ca.filter(|_| url.tls),
                url,
                secrets: token.into_iter().collect(),
            },
            namespace,
        })
    }

    /// Adds the token as it is now.
    ///
    /// # Errors
    /// The token cannot be read, in words.
    pub(super) async fn authorise(&self, ask: Ask) -> Result<Ask, String> {
        let Some(path) = &self.token else {
            return Ok(ask);
        };
        let token = read(path.clone(), "the token").await?;
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| {
            format!(
                "{} is no token: it has characters of control",
                path.display()
            )
        })?;
        value.set_sensitive(true);
        Ok(ask.with(header::AUTHORIZATION, value))
    }

    /// Returns what the API server knows the proxy by, for a message.
    pub(super) fn credential(&self) -> String {
        match &self.token {
            Some(path) => format!("the token in {}", path.display()),
            None if self.target.secrets.is_empty() => "the certificate".to_owned(),
            None => "the token".to_owned(),
        }
    }
}

fn in_cluster(variable: impl Fn(&str) -> Option<String>) -> Result<HttpUrl, String> {
    let Some(host) = variable(HOST).filter(|host| !host.is_empty()) else {
        return Err(format!(
            "{HOST} is not set, as it is in a pod: outside of the cluster \"address\" is needed"
        ));
    };
    let port = variable(PORT).unwrap_or_else(|| "443".to_owned());
    let bad = || format!("{HOST} and {PORT} are \"{host}\" and \"{port}\", no host and port");
    let number: u16 = port.parse().map_err(|_| bad())?;
    HttpUrl::parse(&format!("https://{}", host_with_port(&host, number))).map_err(|_| bad())
}

/// Reads a small file, without its last end of line.
async fn read(path: PathBuf, what: &str) -> Result<String, String> {
    let shown = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || read_now(&path));
    let read = match tokio::time::timeout(PATIENCE, reading).await {
        Err(_) => Err("the disk does not answer".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(read)) => read,
    };
    read.map_err(|why| format!("{what} of the service account cannot be read: {shown}: {why}"))
}

fn read_now(path: &Path) -> Result<String, String> {
    let text = file::read_to_string(path, BYTES_MAX);
    let text = text.map_err(|error| super::super::said(&error))?;
    match text.trim() {
        "" => Err("it is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// Folder in which a pod finds the files of its service account.
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";
/// Maximum size of a token.
const BYTES_MAX: u64 = 64 << 10;
/// Time to read a file.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::discovery::kubernetes::tests::settings;

    fn found(settings: &KubernetesSource, given: &[(&str, &str)]) -> Result<Account, String> {
        let variable = |name: &str| {
            let mut given = given.iter();
            let (_, value) = given.find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(Account::find(settings, variable))
    }

    #[test]
    fn a_pod_finds_the_server_by_its_environment_and_its_folder() {
        let mut settings = settings();
        settings.namespace = Some("shop".to_owned());
        let account = found(&settings, &[(HOST, "fd00::1"), (PORT, "6443")]).unwrap();
        assert_eq!(account.target.url.to_string(), "https://[fd00::1]:6443");
        assert_eq!(account.target.ca, Some(Path::new(FOLDER).join("ca.crt")));
        assert_eq!(account.token, Some(Path::new(FOLDER).join("token")));
        assert_eq!(account.namespace, "shop");
        let outside = found(&settings, &[]).unwrap_err();
        assert!(outside.contains("\"address\" is needed"), "{outside}");
        let odd = found(&settings, &[(HOST, "a"), (PORT, "tcp://a")]).unwrap_err();
        assert!(odd.contains("no host and port"), "{odd}");
    }

    #[test]
    fn the_token_of_one_cluster_is_not_sent_to_another_nor_in_the_clear() {
        let mut settings = settings();
        settings.namespace = Some("shop".to_owned());
        settings.address = Some(HttpUrl::parse("https://other:6443").unwrap());
        let account = found(&settings, &[(HOST, "10.0.0.1")]).unwrap();
        assert_eq!((account.token, account.target.ca), (None, None));
        settings.account = Some("/account".into());
        let account = found(&settings, &[]).unwrap();
        assert_eq!(account.token, Some("/account/token".into()));
        assert_eq!(account.target.ca, Some("/account/ca.crt".into()));
        settings.address = Some(HttpUrl::parse("http://127.0.0.1:8001").unwrap());
        let account = found(&settings, &[]).unwrap();
        assert_eq!((account.token, account.target.ca), (None, None));
    }

    #[test]
    fn a_namespace_that_cannot_be_read_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings();
        settings.account = Some(folder.path().to_owned());
        let given = [(HOST, "10.0.0.1")];
        let missing = found(&settings, &given).unwrap_err();
        assert!(
            missing.ends_with("/namespace: there is no such file"),
            "{missing}"
        );
        std::fs::write(folder.path().join("namespace"), "shop\n").unwrap();
        assert_eq!(found(&settings, &given).unwrap().namespace, "shop");
    }
}
