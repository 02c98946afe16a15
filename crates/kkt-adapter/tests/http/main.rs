//! The API over a real socket, joined to the real phase 1, the virtual KKT and the buffer's model.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod breakers;
mod browsers;
mod buffer;
mod documents;
mod health;
mod pages;
mod python;
mod receipts;
mod roles;
mod shift;
mod shop;
mod slow_clients;
mod tls;

#[path = "../support/ca.rs"]
#[allow(dead_code)]
mod ca;
