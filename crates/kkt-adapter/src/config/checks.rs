//! What must hold between settings.

use super::{
    Config,
    auth::Role,
    breaker::BackoffKind,
    error::{Origin, Problem},
    ofd::OfdKind,
    tls,
    values::Values,
};
use std::collections::BTreeMap;

/// Shortest token that is let in, in characters: shorter ones can be guessed.
const TOKEN_MIN: usize = 16;

/// Checks what each key alone cannot say, reads the secrets and draws the one conclusion (`base_url` means `http`).
pub(super) struct Checks<'a> {
    pub values: &'a Values,
    pub problems: &'a mut Vec<Problem>,
    pub warnings: &'a mut Vec<String>,
}

impl Checks<'_> {
    pub fn run(&mut self, config: &mut Config) {
        self.tls(config);
        self.ofd(config);
        self.heartbeat(config);
        self.tokens(config);
        self.listening(config);
        self.breaker(config);
        self.sync(config);
        self.devices(config);
    }

    fn refuse(&mut self, key: &str, rule: impl Into<String>) {
        let origin = self.values.origin(key);
        let value = super::keys()
            .find(|known| known.path == key)
            .and_then(|known| self.values.value(key).to_toml(&known.kind));
        self.problems.push(Problem { key: key.into(), origin, value, rule: rule.into() });
    }

    fn refuse_item(
        &mut self,
        list: &str,
        index: usize,
        key: &str,
        value: Option<&str>,
        rule: impl Into<String>,
    ) {
        let origin = self.values.tables(list).get(index).map_or(Origin::Default, |item| item.place(key));
        let key = format!("{list}[{index}].{key}");
        let value = value.map(|value| format!("\"{value}\""));
        self.problems.push(Problem { key, origin, value, rule: rule.into() });
    }

    /// Whether a key of this prefix was refused already, so that what follows from it is not told as well.
    fn refused(&self, prefix: &str) -> bool {
        self.problems.iter().any(|problem| problem.key.starts_with(prefix))
    }

    fn ofd(&mut self, config: &mut Config) {
        let ofd = &mut config.ofd;
        if let Some(url) = &mut ofd.base_url {
            while url.ends_with('/') {
                url.pop();
            }
            let said = self.values.origin("ofd.kind");
            if ofd.kind == OfdKind::Simulator && said != Origin::Default {
                return self.refuse(
                    "ofd.base_url",
                    format!("contradicts ofd.kind = \"simulator\" ({said}); leave one of them out"),
                );
            }
            ofd.kind = OfdKind::Http;
            if url.starts_with("http://") && ofd.token_file.is_some() && !is_loopback_url(url) {
                self.warnings
                    .push("ofd.base_url is http://: the token for the OFD travels unencrypted".into());
            }
        } else if ofd.kind == OfdKind::Http && !self.refused("ofd.base_url") {
            self.refuse("ofd.kind", "needs ofd.base_url, the address of the OFD");
        } else if ofd.token_file.is_some() && ofd.kind == OfdKind::Simulator {
            self.warnings.push("ofd.token_file has no effect on the embedded simulator".into());
        }
        self.secret("ofd.token_file", ofd.token_file.as_mut());
        self.ca("ofd.ca_file", ofd.ca_file.as_mut(), ofd.base_url.as_deref());
    }

    fn heartbeat(&mut self, config: &mut Config) {
        let heartbeat = &mut config.heartbeat;
        let url = heartbeat.url.as_deref();
        if url.is_some_and(|url| url.starts_with("http://") && !is_loopback_url(url))
            && heartbeat.token_file.is_some()
        {
            self.warnings.push("heartbeat.url is http://: the token for the ERP travels unencrypted".into());
        }
        if url.is_none() && heartbeat.token_file.is_some() {
            self.warnings.push("heartbeat.token_file has no effect without heartbeat.url".into());
        }
        self.secret("heartbeat.token_file", heartbeat.token_file.as_mut());
        self.ca("heartbeat.ca_file", heartbeat.ca_file.as_mut(), url);
    }

    fn ca(&mut self, key: &str, file: Option<&mut super::CaFile>, url: Option<&str>) {
        let Some(file) = file else { return };
        if let Err(rule) = file.read() {
            self.refuse(key, rule);
        } else if !url.is_some_and(|url| url.starts_with("https://")) {
            self.warnings.push(format!("{key} has no effect: it is for an https:// address"));
        }
    }

    fn tls(&mut self, config: &mut Config) {
        let server = &config.server;
        match (server.tls_cert_file.clone(), server.tls_key_file.clone()) {
            (None, None) => {}
            (Some(_), None) => self.refuse(tls::CERT, format!("needs {}, its private key", tls::KEY)),
            (None, Some(_)) => self.refuse(tls::KEY, format!("needs {}, its certificate", tls::CERT)),
            (Some(cert), Some(key)) => match super::Tls::read(cert, key, jiff::Timestamp::now()) {
                Ok((read, warnings)) => {
                    self.warnings.extend(warnings);
                    config.tls = Some(read);
                }
                Err(problem) => self.refuse(problem.key, problem.rule),
            },
        }
    }

    fn secret(&mut self, key: &str, file: Option<&mut super::SecretFile>) {
        match file.map(super::SecretFile::read) {
            Some(Ok(Some(warning))) => self.warnings.push(format!("{key}: {warning}")),
            Some(Err(rule)) => self.refuse(key, rule),
            Some(Ok(None)) | None => {}
        }
    }

    fn secret_of_item(&mut self, list: &str, index: usize, file: &mut super::SecretFile) {
        match file.read() {
            Ok(Some(warning)) => self.warnings.push(format!("{list}[{index}].token_file: {warning}")),
            Ok(None) => {}
            Err(rule) => {
                let path = file.path().display().to_string();
                self.refuse_item(list, index, "token_file", Some(&path), rule);
            }
        }
    }

    fn tokens(&mut self, config: &mut Config) {
        const LIST: &str = "auth.tokens";
        let mut names = BTreeMap::new();
        let mut secrets = BTreeMap::new();
        for (index, token) in config.auth.tokens.iter_mut().enumerate() {
            if let Some(first) = names.insert(token.name.clone(), index) {
                let rule =
                    format!("is the name of {LIST}[{first}] too; the audit trail could not tell them apart");
                self.refuse_item(LIST, index, "name", Some(&token.name), rule);
            }
            match (token.role, token.pos_ids.is_empty()) {
                (Role::Pos, true) => {
                    self.refuse_item(
                        LIST,
                        index,
                        "pos_ids",
                        None,
                        "must name the tills that this token acts for",
                    );
                }
                (Role::Reader | Role::Operator, false) => {
                    let rule = format!("only limits the role pos; leave it out for {}", token.role.as_str());
                    self.refuse_item(LIST, index, "pos_ids", None, rule);
                }
                _ => {}
            }
            // For people, who compare it with the clock on the wall.
            if token.expires.is_some_and(|end| end <= jiff::Timestamp::now()) {
                self.warnings.push(format!("{LIST}[{index}]: the token {} has expired", token.name));
            }
            self.secret_of_item(LIST, index, &mut token.token_file);
            let secret = token.token_file.expose();
            if secret.is_empty() {
                continue;
            }
            let path = token.token_file.path().display().to_string();
            if secret.len() < TOKEN_MIN {
                let rule = format!(
                    "holds a token shorter than {TOKEN_MIN} characters; make one: openssl rand -hex 32"
                );
                self.refuse_item(LIST, index, "token_file", Some(&path), rule);
            }
            if let Some(first) = secrets.insert(secret.to_owned(), index) {
                let rule = format!("holds the same token as {LIST}[{first}]; each needs its own");
                self.refuse_item(LIST, index, "token_file", Some(&path), rule);
            }
        }
    }

    fn listening(&mut self, config: &Config) {
        let open = !config.server.listen.ip().is_loopback();
        let anonymous = config.auth.tokens.is_empty();
        if open && anonymous && !config.auth.allow_anonymous && !self.refused("auth.") {
            self.refuse(
                "server.listen",
                "is reachable by other machines, and no auth.tokens are configured: configure tokens, listen on \
                 127.0.0.1, or set auth.allow_anonymous = true to let everybody do everything",
            );
        }
        if config.auth.allow_anonymous && !anonymous {
            self.warnings.push("auth.allow_anonymous has no effect while auth.tokens are configured".into());
        } else if open && !anonymous && config.tls.is_none() {
            self.warnings.push(
                "server.listen is reachable by other machines without TLS: tokens and receipts travel \
                 unencrypted; configure [server.tls], or put a proxy that speaks TLS before it"
                    .into(),
            );
        } else if open && anonymous && config.auth.allow_anonymous {
            self.warnings.push(format!(
                "auth.allow_anonymous: whoever reaches {} may do everything",
                config.server.listen
            ));
        }
    }

    fn breaker(&mut self, config: &Config) {
        let breaker = &config.breaker;
        let exponential = breaker.backoff_kind == BackoffKind::Exponential;
        if exponential && breaker.backoff_max < breaker.recovery_timeout && !self.refused("breaker.") {
            let least = super::units::show_duration(breaker.recovery_timeout);
            self.refuse("breaker.backoff.max", format!("must be at least breaker.recovery_timeout, {least}"));
        }
        let inactive = super::keys()
            .filter(|key| matches!(key.path, "breaker.backoff.multiplier" | "breaker.backoff.max"))
            .filter(|key| !exponential && *self.values.value(key.path) != super::read::default(key));
        for key in inactive {
            let warning = format!("{} has no effect while breaker.backoff.kind is \"fixed\"", key.path);
            self.warnings.push(warning);
        }
    }

    fn sync(&mut self, config: &Config) {
        let sync = &config.sync;
        if sync.backoff_max < sync.backoff_initial && !self.refused("sync.backoff") {
            let least = super::units::show_duration(sync.backoff_initial);
            self.refuse("sync.backoff.max", format!("must be at least sync.backoff.initial, {least}"));
        }
    }

    fn devices(&mut self, config: &mut Config) {
        const LIST: &str = "kkt.device";
        let mut ids = BTreeMap::new();
        let mut tills: BTreeMap<String, usize> = BTreeMap::new();
        for (index, device) in config.kkt.device.iter_mut().enumerate() {
            if let Some(first) = ids.insert(device.id.clone(), index) {
                self.refuse_item(
                    LIST,
                    index,
                    "id",
                    Some(&device.id),
                    format!("is the id of {LIST}[{first}] too"),
                );
            }
            if device.pos_ids.is_empty() {
                self.refuse_item(LIST, index, "pos_ids", None, "must name at least one till");
            }
            for pos_id in &device.pos_ids {
                if let Some(first) = tills.insert(pos_id.clone(), index) {
                    let rule = format!("is on {LIST}[{first}] already; a till prints on one device");
                    self.refuse_item(LIST, index, "pos_ids", Some(pos_id), rule);
                }
            }
            let given = [&device.inn, &device.rn_kkt, &device.ofd_name].map(Option::is_some);
            let any = given.contains(&true) || device.taxation.is_some();
            for (key, given) in ["identity.inn", "identity.rn_kkt", "identity.ofd_name"].iter().zip(given) {
                if any && !given {
                    self.refuse_item(
                        LIST,
                        index,
                        key,
                        None,
                        "is missing; an identity has inn, rn_kkt and ofd_name",
                    );
                }
            }
            if let Some(file) = &mut device.token_file {
                self.secret_of_item(LIST, index, file);
            }
        }
        for (index, device) in config.kkt.device.iter().enumerate() {
            if tills.get(&device.id).is_some_and(|other| *other != index) {
                let rule = "is also the name of a till of another device; use another id";
                self.refuse_item(LIST, index, "id", Some(&device.id), rule);
            }
        }
    }
}

fn is_loopback_url(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    })
}
