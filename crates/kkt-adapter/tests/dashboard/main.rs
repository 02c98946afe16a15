//! The dashboard in a headless Chromium, its events and sessions over real HTTP.

#![allow(clippy::unwrap_used, missing_docs)]

mod access;
mod chrome;
mod docs;
mod events;
mod guides;
mod layout;
mod outage;
mod people;
mod pictures;
mod shop;
