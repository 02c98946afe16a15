use super::{
    key::*,
    rules,
    secret::SecretFile,
    section::{section, words},
    tls::CaFile,
};
use std::time::Duration;

words! {
    /// Which OFD documents go to.
    OfdKind {
        /// The embedded simulator: nothing is fiscal.
        Simulator = "simulator",
        /// `base_url`.
        Http = "http",
    }
}

section! {
    /// `[ofd]`: the operator of fiscal data.
    Ofd {
        /// The embedded simulator (nothing is fiscal) or the OFD at `base_url`, which alone is enough to mean `http`.
        "ofd.kind" "KKT_OFD__KIND" kind: OfdKind = "simulator", Kind::Choice(OfdKind::WORDS);
        /// Base of the OFD's service; documents go to `{base_url}/ofd/v1/receipt`.
        "ofd.base_url" "KKT_OFD__BASE_URL" base_url: Option<String> = "", Kind::Text(&rules::BASE_URL);
        /// Total time of a call, connecting and reading the answer included.
        "ofd.timeout" "KKT_OFD__TIMEOUT" timeout: Duration = "10s", span(10, 5 * MINUTE);
        /// File with the token for the OFD; a device's own `token_file` goes before it.
        "ofd.token_file" "KKT_OFD__TOKEN_FILE" token_file: Option<SecretFile> = "", Kind::Text(&rules::PATH), reload;
        /// PEM file with the certificates that an OFD at https:// is trusted by, instead of the system's.
        "ofd.ca_file" "KKT_OFD__CA_FILE" ca_file: Option<CaFile> = "", Kind::Text(&rules::PATH);
    }
}
