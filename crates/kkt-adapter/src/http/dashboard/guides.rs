//! The guides of `docs/` as pages, at `/docs/NAME`: whoever has a shop on the phone reads them where the trouble is,
//! without the network and without a token, since they hold nothing of the shop.

use super::{File, HTML};
use crate::http::error::ApiError;
use axum::{extract::Path, http::HeaderMap, response::Response};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use std::{fmt::Write as _, sync::LazyLock};

struct Source {
    name: &'static str,
    language: &'static str,
    text: &'static str,
}

macro_rules! guide {
    ($name:literal, $language:literal) => {
        Source {
            name: $name,
            language: $language,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/", $name, ".md")),
        }
    };
}

const SOURCES: [Source; 6] = [
    guide!("operations", "en"),
    guide!("operations.ru", "ru"),
    guide!("configuration", "en"),
    guide!("metrics", "en"),
    guide!("migrating", "en"),
    guide!("migrating.ru", "ru"),
];

static GUIDES: LazyLock<Vec<File>> =
    LazyLock::new(|| SOURCES.iter().map(|guide| File::new(guide.name, HTML, page(guide))).collect());

/// The names of all guides.
pub fn names() -> Vec<&'static str> {
    SOURCES.iter().map(|guide| guide.name).collect()
}

/// `GET /docs/{guide}`.
pub async fn guide(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let guide = GUIDES.iter().find(|guide| guide.name == name);
    guide.map(|guide| guide.answer(&headers)).ok_or_else(|| ApiError::not_found("no such guide"))
}

fn page(guide: &Source) -> String {
    let (contents, body) = render(guide.text);
    let title = contents.first().map_or(guide.name, |heading| heading.text.as_str());
    let links = contents.iter().skip(1).filter(|heading| !heading.anchor.is_empty());
    let links = links.fold(String::new(), |mut links, Heading { anchor, text }| {
        let _ = writeln!(links, "<a href=\"#{anchor}\">{text}</a>");
        links
    });
    include_str!("guide.html")
        .replace("{{language}}", guide.language)
        .replace("{{title}}", title)
        .replace("{{contents}}", &links)
        .replace("{{body}}", &body)
}

/// A heading: the anchor that stands before it, or nothing, and its text as HTML.
struct Heading {
    anchor: String,
    text: String,
}

/// The text as HTML, and its headings. The text is our own, so that HTML in it is taken as it stands.
fn render(text: &str) -> (Vec<Heading>, String) {
    let mut headings: Vec<Heading> = Vec::new();
    let mut anchor = String::new();
    let mut in_heading = false;
    let mut dead_link = false;
    let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES)
        .filter_map(|event| {
            match &event {
                Event::InlineHtml(tag) => {
                    if let Some(id) = tag.strip_prefix("<a id=\"").and_then(|rest| rest.strip_suffix("\">")) {
                        id.clone_into(&mut anchor);
                    }
                }
                Event::Start(Tag::Heading { .. }) => {
                    headings.push(Heading { anchor: std::mem::take(&mut anchor), text: String::new() });
                    in_heading = true;
                }
                Event::End(TagEnd::Heading(_)) => in_heading = false,
                Event::Text(text) | Event::Code(text) if in_heading => {
                    let heading = headings.last_mut().expect("a heading has begun");
                    html::push_html(&mut heading.text, [Event::Text(text.clone())].into_iter());
                }
                _ => {}
            }
            match event {
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    let dest_url = address(&dest_url);
                    dead_link = dest_url.is_none();
                    dest_url.map(|dest_url| Event::Start(Tag::Link { link_type, dest_url, title, id }))
                }
                // What is no page here stays as a word.
                Event::End(TagEnd::Link) if std::mem::take(&mut dead_link) => None,
                other => Some(other),
            }
        })
        .collect();
    let mut body = String::with_capacity(text.len() * 2);
    html::push_html(&mut body, events.into_iter());
    // What is wider than a phone is scrolled, by keys too.
    let body = body
        .replace("<pre>", "<pre tabindex=\"0\">")
        .replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table>")
        .replace("</table>", "</table></div>");
    (headings, body)
}

/// Where a link of the guide leads among the pages: `migrating.md#import` is `migrating#import`.
fn address(link: &str) -> Option<CowStr<'static>> {
    if link.starts_with('#') || link.starts_with("http://") || link.starts_with("https://") {
        return Some(link.to_owned().into());
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let name = file.strip_suffix(".md").filter(|name| names().contains(name))?;
    Some(if anchor.is_empty() { name.to_owned() } else { format!("{name}#{anchor}") }.into())
}
