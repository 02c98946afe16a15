//! The guides that the adapter shows: whole, linked, and to be read on a phone at 9 p.m. without a token or the network.

use super::{
    chrome::Chrome,
    layout::{assert_accessible, assert_fits, axe},
    shop::{Setup, Shop},
};
use reqwest::Method;
use std::collections::BTreeMap;

const GUIDES: [&str; 6] =
    ["operations", "operations.ru", "configuration", "metrics", "migrating", "migrating.ru"];

fn between<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

fn fetch(shop: &Shop, path: &str) -> (u16, String) {
    let answer = shop.send(shop.anonymous(Method::GET, path));
    (answer.status().as_u16(), shop.runtime.block_on(answer.text()).unwrap())
}

#[test]
fn every_guide_is_there_without_a_token_and_each_of_its_links_leads_somewhere() {
    let shop = Shop::with(&Setup { tokens: vec![("ops", "operator")], ..Setup::default() });
    let pages: BTreeMap<&str, String> = GUIDES
        .iter()
        .map(|name| {
            let (status, page) = fetch(&shop, &format!("/docs/{name}"));
            assert_eq!(status, 200, "{name}");
            (*name, page)
        })
        .collect();
    let mut links = 0;
    for (name, page) in &pages {
        assert!(!page.contains("{{"), "{name}");
        for link in between(page, "<a href=\"") {
            if link.starts_with("https://") || link == "/" || link == "/docs" {
                continue;
            }
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = target.strip_prefix("/docs/").unwrap_or(target);
            let target = if target.is_empty() { name } else { target };
            let there = pages.get(target).unwrap_or_else(|| panic!("{name} links to {link}"));
            assert!(
                anchor.is_empty() || there.contains(&format!("id=\"{anchor}\"")),
                "{name} links to {link}"
            );
            links += 1;
        }
    }
    assert!(links > 100, "{links}");
    assert_eq!(fetch(&shop, "/docs/promises").0, 404);
    let english = include_str!("../../../../docs/operations.md");
    for anchor in between(english, "<a id=\"") {
        for guide in ["operations", "operations.ru"] {
            assert!(
                pages[guide].contains(&format!("href=\"#{anchor}\"")),
                "{anchor} is not in the contents of {guide}"
            );
        }
    }
}

#[test]
fn each_cause_on_the_page_leads_to_its_steps_in_the_language_of_the_reader() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "ru");
    page.until_ready();
    let anchors =
        page.evaluate("import('/assets/overview.js').then(({ STEPS }) => Object.values(STEPS).join())");
    let guide = fetch(&shop, "/docs/operations.ru").1;
    for anchor in anchors.as_str().unwrap().split(',') {
        assert!(guide.contains(&format!("id=\"{anchor}\"")), "{anchor}");
    }
    shop.break_ofd();
    page.until_says("#causes", "По шагам");
    page.click("#causes a");
    page.until(
        "the guide",
        "location.pathname === '/docs/operations.ru' && location.hash === '#kkt-ofd-unreachable'",
    );
    page.until_says("main", "KktOfdUnreachable (P2): ОФД недоступен");
    page.assert_no_console_errors();
    page.assert_no_foreign_requests();
}

#[test]
fn the_guides_fit_a_phone_and_have_no_barriers() {
    let axe = axe();
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    for guide in GUIDES {
        page.go(&format!("/docs/{guide}"));
        page.until("the guide", "document.querySelector('article h1')");
        for (width, dark) in [(360, false), (1_440, true)] {
            page.viewport(width, 800);
            page.dark(dark);
            assert_fits(&page, &format!("{guide}, {width} px"));
            if guide.starts_with("operations") {
                // What to do stands in the last column.
                let hidden = "[...document.querySelectorAll('article .scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1).length";
                assert_eq!(page.evaluate(hidden), 0, "{guide}, {width} px");
            }
            assert_accessible(&page, &axe, &format!("{guide}, {width} px, dark: {dark}"));
        }
    }
    page.assert_no_console_errors();
}
