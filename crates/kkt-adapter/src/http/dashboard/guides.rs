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
    let links = contents.iter().skip(1).fold(String::new(), |mut links, Heading { anchor, text }| {
        let _ = writeln!(links, "<a href=\"#{anchor}\">{text}</a>");
        links
    });
    include_str!("guide.html")
        .replace("{{language}}", guide.language)
        .replace("{{title}}", title)
        .replace("{{contents}}", &links)
        .replace("{{body}}", &body)
}

/// A heading: the anchor before it, else one made of its words; and its text as HTML.
struct Heading {
    anchor: String,
    text: String,
}

/// The text as HTML, and its headings. The text is our own, so that HTML in it is taken as it stands.
fn render(text: &str) -> (Vec<Heading>, String) {
    let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let mut headings: Vec<Heading> = Vec::new();
    let mut anchor = None;
    let mut dead_link = false;
    let shown = events.iter().enumerate().filter_map(|(at, event)| match event.clone() {
        Event::InlineHtml(tag) => {
            let id = tag.strip_prefix("<a id=\"").and_then(|rest| rest.strip_suffix("\">"));
            anchor = id.map(str::to_owned).or(anchor.take());
            Some(Event::InlineHtml(tag))
        }
        Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
            let words = words(&events[at + 1..]);
            let id = anchor.is_none().then(|| slug(&words).into());
            let anchor = anchor.take().unwrap_or_else(|| slug(&words));
            let mut text = String::new();
            html::push_html(&mut text, [Event::Text(words.into())].into_iter());
            headings.push(Heading { anchor, text });
            Some(Event::Start(Tag::Heading { level, id, classes, attrs }))
        }
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = address(&dest_url);
            dead_link = dest_url.is_none();
            dest_url.map(|dest_url| Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        // What is no page here stays as a word.
        Event::End(TagEnd::Link) if std::mem::take(&mut dead_link) => None,
        other => Some(other),
    });
    let mut body = String::with_capacity(text.len() * 2);
    html::push_html(&mut body, shown);
    // What is wider than a phone is scrolled, by keys too.
    let body = body
        .replace("<pre>", "<pre tabindex=\"0\">")
        .replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table>")
        .replace("</table>", "</table></div>");
    (headings, body)
}

/// The words of the heading that `events` go on with.
fn words(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let words = inside.filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
        _ => None,
    });
    words.collect()
}

fn slug(words: &str) -> String {
    let letters = words.to_lowercase().replace(' ', "-");
    letters.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
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
