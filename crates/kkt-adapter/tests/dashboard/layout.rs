//! The page fits from a phone to a desk, and people who do not see or use a mouse can use it.

use super::{
    chrome::{Chrome, Page},
    shop::{Setup, Shop, reject_receipts},
};
use ofd_sim::Plan;
use std::path::PathBuf;

/// An outage with all that can be on the page: tills, a dead letter, a document in doubt.
fn busy() -> Shop {
    let shop = Shop::with(&Setup { recovery: Some("60s"), ..Setup::default() });
    shop.sim.set_faults(reject_receipts());
    shop.sell_as(
        "POS-001",
        "a-key-that-is-as-long-as-a-key-may-ever-be-0123456789-0123456789-0123456789-0123456789",
        "Линза",
    );
    shop.until("a dead letter", || (shop.get("/v1/kkt/dlq")["dlq_size"] == 1).then_some(()));
    shop.sim.set_faults(Plan::ok());
    shop.sell("Till-With-A-Very-Long-Name-0123456789-0123456789-0123456789-0123");
    shop.sell("POS-002");
    shop.set_kkt_faults("POS-002", "hang_after_print = 1\nlose_find = 1\n");
    shop.sell("POS-002");
    shop.break_ofd();
    shop
}

/// Pairs of visible elements with text or levers that lie over each other, what sticks out to the right, and words of
/// headings and levers that are broken in two.
const FAULTS: &str = r"(() => {
  const faults = [];
  const wide = document.documentElement;
  if (wide.scrollWidth > wide.clientWidth) faults.push(`the page is ${wide.scrollWidth} wide, the window ${wide.clientWidth}`);
  const open = document.querySelector('dialog[open]') ?? document.body;
  const all = [...open.querySelectorAll('button, input, select, h1, h2, h3, p, dt, dd, th, td, li > span, .badge, meter, svg.strip, figcaption, label')]
    .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest('.hidden, .skip, .cards thead') && e.getClientRects().length > 0);
  const boxes = all.map((e) => ({ e, r: e.getBoundingClientRect() })).filter(({ r }) => r.width > 1 && r.height > 1);
  const name = (e) => `${e.tagName}.${e.className?.baseVal ?? e.className} «${(e.textContent || e.value || '').trim().slice(0, 30)}»`;
  for (const { e, r } of boxes) if (!e.closest('.scroll') && r.right > wide.clientWidth + 1) faults.push(`${name(e)} sticks out: ${r.right}`);
  for (const { e } of boxes.filter(({ e }) => e.matches('button:not(.link), h1, h2, h3, thead th, label'))) for (const node of e.childNodes) {
    if (node.nodeType !== Node.TEXT_NODE) continue;
    for (const word of node.data.matchAll(/[\p{L}\d]+/gu)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (range.getClientRects().length > 1) faults.push(`${name(e)}: «${word[0]}» is broken in two`);
    }
  }
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [a, b] = [boxes[i], boxes[j]];
    if (a.e.contains(b.e) || b.e.contains(a.e)) continue;
    if (a.e.closest('.scroll') !== b.e.closest('.scroll')) continue;
    const x = Math.min(a.r.right, b.r.right) - Math.max(a.r.left, b.r.left);
    const y = Math.min(a.r.bottom, b.r.bottom) - Math.max(a.r.top, b.r.top);
    if (x > 1.5 && y > 1.5) faults.push(`${name(a.e)} lies over ${name(b.e)}`);
  }
  return faults.slice(0, 8).join('\n');
})()";

pub fn assert_fits(page: &Page, what: &str) {
    let faults = page.evaluate(FAULTS);
    assert_eq!(faults, "", "{what}");
}

#[test]
fn nothing_overlaps_or_sticks_out_from_360_to_1440_px() {
    let shop = busy();
    let chrome = Chrome::start();
    for language in ["ru", "en"] {
        let page = chrome.open(&shop.url, language);
        page.until_ready();
        page.until(
            "all of it",
            "document.querySelector('#unknown .row') && document.querySelector('#dead .row')",
        );
        for width in [360, 768, 1_024, 1_440] {
            page.viewport(width, 800);
            assert_fits(&page, &format!("{language}, {width} px"));
            page.click("[data-breaker=ofd] [data-action=force-open]");
            assert_fits(&page, &format!("the dialog, {language}, {width} px"));
            page.press("Escape");
            page.until("closed", "!document.getElementById('act').open");
            page.click("#receipts-body [data-control=open]");
            page.until("the document", "document.getElementById('paper').open");
            assert_fits(&page, &format!("a document, {language}, {width} px"));
            page.click("#paper-close");
            page.until("closed", "!document.getElementById('paper').open");
        }
        // The control: the check sees what lies over something.
        page.evaluate("document.getElementById('verdict-title').style.marginTop = '-200px'");
        page.evaluate("document.getElementById('board').style.width = '3000px'");
        assert_ne!(page.evaluate(FAULTS), "");
        page.assert_no_console_errors();
    }
}

pub fn axe() -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")), PathBuf::from);
    let file = target.join("npm/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo xtask test --install` brings axe-core", file.display())
    })
}

pub fn assert_accessible(page: &Page, axe: &str, what: &str) {
    if page.evaluate("typeof axe") == "undefined" {
        page.evaluate(&format!("{axe}; 0"));
    }
    let found = page.evaluate(
        "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
           .then((r) => JSON.stringify(r.violations.map((v) => [v.id, v.help, v.nodes.slice(0, 4).map((n) => [n.html.slice(0, 160), n.failureSummary])]), null, 1))",
    );
    assert_eq!(found, "[]", "{what}");
}

#[test]
fn axe_finds_no_violation_in_either_colour_scheme_at_either_size() {
    let axe = axe();
    let shop = busy();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until(
        "all of it",
        "document.querySelector('#unknown .row') && document.querySelector('#dead .row')",
    );
    // Colours that are on their way to others would be measured half way.
    page.evaluate("document.getAnimations().forEach((one) => one.finish())");
    for (width, dark) in [(1_440, false), (1_440, true), (360, true), (360, false)] {
        page.viewport(width, 800);
        page.dark(dark);
        page.until("still", "document.getAnimations().every((one) => one.playState === 'finished')");
        assert_accessible(&page, &axe, &format!("{width} px, dark: {dark}"));
    }
    page.click("[data-breaker=ofd] [data-action=force-open]");
    page.until("the dialog", "document.getElementById('act').open");
    assert_accessible(&page, &axe, "the dialog");
    // The control: a field without a name is found.
    page.evaluate("document.querySelector('label[for=act-reason]').remove()");
    let result =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assert_accessible(&page, &axe, "control")));
    assert!(result.is_err());
}

#[test]
fn axe_finds_no_violation_on_the_login_page() {
    let axe = axe();
    let shop = Shop::with(&Setup { tokens: vec![("ops", "operator")], ..Setup::default() });
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "ru");
    page.until("the form", "!document.getElementById('login').hidden");
    for width in [360, 1_440] {
        page.viewport(width, 800);
        assert_accessible(&page, &axe, &format!("{width} px"));
        assert_fits(&page, &format!("{width} px"));
    }
}
