//! TLS at the door: rustls, HTTP/1.1 within, the certificate replaceable while it runs.
//!
//! Invariants: 1. New connections get the certificate of the latest [`Tls::replace`]; open ones go on with theirs, and
//! no session of an earlier certificate is resumed. 2. A pair that cannot be used changes nothing. 3. Nothing is
//! served unencrypted: who speaks plain HTTP is told so and sent away.

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use uuid::Uuid;

/// First byte of every TLS connection: a record of type handshake (RFC 8446, 5.1). No HTTP method begins with it.
const HANDSHAKE: u8 = 0x16;

/// The certificate and key in force.
#[derive(Debug)]
pub struct Tls(RwLock<Arc<ServerConfig>>);

impl Tls {
    /// TLS 1.2 and 1.3 with this chain (the server's certificate first) and its key.
    ///
    /// # Errors
    /// The pair cannot be used.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self(RwLock::new(server_config(chain, key)?)))
    }

    /// Puts another pair into force for connections from now on.
    ///
    /// # Errors
    /// The pair cannot be used; the former one stays.
    pub fn replace(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), rustls::Error> {
        let next = server_config(chain, key)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Shakes hands. Takes as long as the client likes: the caller bounds it.
    ///
    /// # Errors
    /// The client speaks no TLS or none of ours, or has gone.
    pub async fn accept(&self, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [HANDSHAKE] {
            refuse(&mut stream).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not TLS"));
        }
        let config = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Tells somebody who speaks plain HTTP what this port wants, in the contract's form.
async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    let id = Uuid::now_v7();
    let body = format!(
        r#"{{"detail":"this port speaks TLS only: use https:// instead of http://","type":"tls_required","request_id":"{id}"}}"#
    );
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: {id}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await?;
    // What the client still sends is read and thrown away: a close before that would reset the connection, and take
    // the answer with it. The caller's time limit bounds it.
    let mut rest = [0; 4096];
    let mut left = 64 * 1024_usize;
    while left > 0 {
        match stream.read(&mut rest).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}
