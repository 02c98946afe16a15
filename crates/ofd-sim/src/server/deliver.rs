//! Turns an action into what goes over the wire.

use super::connection::{Connection, Ending};
use super::shared::{InFlight, Shared};
use crate::core::action::{Action, Answer, Delivery};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::Channel;
use std::sync::Arc;
use std::time::Duration;

/// A body without end stops here all the same, and a hanging call after [`HANG_MAX`]: limits on everything.
const ENDLESS_MAX: usize = 1 << 30;
const HANG_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const ENDLESS_CHUNK: &[u8; 8192] = &[b' '; 8192];

pub(super) async fn deliver(
    action: Action,
    in_flight: InFlight,
    shared: &Arc<Shared>,
    connection: &Connection,
) -> Response {
    if !action.delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(action.delay) => {}
            () = shared.stopped() => {}
        }
    }
    match action.delivery {
        Delivery::Answer(answer) => whole(answer),
        Delivery::Drip { answer, byte_interval } => drip(answer, byte_interval, in_flight, shared.clone()),
        Delivery::Endless => endless(in_flight, shared.clone()),
        Delivery::Reset => connection.end(Ending::Reset).await,
        Delivery::Cut => connection.end(Ending::Cut).await,
        Delivery::NotHttp => connection.end(Ending::NotHttp).await,
        Delivery::Hang => {
            tokio::select! {
                () = tokio::time::sleep(HANG_MAX) => {}
                () = shared.stopped() => {}
            }
            connection.end(Ending::Cut).await
        }
    }
}

fn whole(mut answer: Answer) -> Response {
    let body = std::mem::take(&mut answer.body);
    head(&answer, Body::from(body))
}

fn drip(mut answer: Answer, byte_interval: Duration, in_flight: InFlight, shared: Arc<Shared>) -> Response {
    let bytes = Bytes::from(std::mem::take(&mut answer.body));
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let mut response = head(&answer, Body::new(body));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    tokio::spawn(async move {
        for i in 0..bytes.len() {
            tokio::select! {
                () = tokio::time::sleep(byte_interval) => {}
                () = shared.stopped() => {}
            }
            if sender.send_data(bytes.slice(i..=i)).await.is_err() {
                break;
            }
        }
        drop(in_flight);
    });
    response
}

fn endless(in_flight: InFlight, shared: Arc<Shared>) -> Response {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        let flood = async {
            for _ in 0..ENDLESS_MAX / ENDLESS_CHUNK.len() {
                if sender.send_data(Bytes::from_static(ENDLESS_CHUNK)).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = flood => {}
            () = shared.stopped() => {}
        }
        drop(in_flight);
    });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn head(answer: &Answer, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).expect("plans and answers have statuses from 200 to 599");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    // A typed plan may hold a text that no header can: it is left out.
    if let Some(Ok(value)) = answer.retry_after.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::RETRY_AFTER, value);
    }
    if answer.replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}
