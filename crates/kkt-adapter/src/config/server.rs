use super::{key::*, rules, section::section};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

section! {
    /// `[server]`: where the adapter listens and how much it takes.
    Server {
        /// Address and port to listen on. Beyond loopback only with tokens.
        "server.listen" "KKT_SERVER__LISTEN" listen: SocketAddr = "127.0.0.1:8000", Kind::Text(&rules::ADDRESS);
        /// Names besides the loopback ones under which browsers and clients may reach the adapter (`Host` header).
        "server.allowed_hosts" "KKT_SERVER__ALLOWED_HOSTS" allowed_hosts: Vec<String> = "", Kind::List(&rules::HOST, 64);
        /// A request that takes longer is answered 503; its receipt goes on and the same key finds it.
        "server.request_timeout" "KKT_SERVER__REQUEST_TIMEOUT" request_timeout: Duration = "30s", span(100, 10 * MINUTE);
        /// Connections served at a time; more wait.
        "server.max_connections" "KKT_SERVER__MAX_CONNECTIONS" max_connections: usize = "1024", int(1, 65_535);
        /// PEM file with the server's certificate and those between it and its root. With it, and the key, the port
        /// speaks TLS and nothing else. Both files are looked at every 10 s, and read again by SIGHUP.
        "server.tls.cert_file" "KKT_SERVER__TLS__CERT_FILE" tls_cert_file: Option<PathBuf> = "", Kind::Text(&rules::PATH), reload;
        /// PEM file with the certificate's private key.
        "server.tls.key_file" "KKT_SERVER__TLS__KEY_FILE" tls_key_file: Option<PathBuf> = "", Kind::Text(&rules::PATH), reload;
    }
}
