//! What a person sees of an outage, and does about it.

use super::{
    chrome::Chrome,
    shop::{Setup, Shop, reject_receipts},
};
use ofd_sim::Plan;
use std::time::{Duration, Instant};

#[test]
fn an_outage_appears_within_two_seconds_of_the_breaker_opening() {
    let shop = Shop::with(&Setup { recovery: Some("60s"), ..Setup::default() });
    shop.sell("POS-001");
    shop.until_delivered();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until_says("#live", "Live");
    assert_eq!(page.text("#verdict-title"), "The shop can sell");
    assert!(page.text("#not-fiscal").contains("НЕ ФИСКАЛЬНЫЙ"));

    shop.break_ofd();
    let opened = Instant::now();
    let deadline = opened + Duration::from_secs(2);
    let shown = "document.querySelector('[data-breaker=ofd]')?.dataset.state === 'OPEN' \
                 && document.getElementById('causes').innerText.includes('The OFD cannot be reached')";
    page.until_by("the outage", shown, deadline);
    assert_eq!(
        page.text("#verdict-title"),
        "The shop can sell",
        "an outage of the OFD costs the shop nothing"
    );
    page.until_says(".breaker-since", "next try in");
    page.until_says("#figures", "Not reachable");
    page.until("the strip", "document.querySelector('[data-breaker=ofd] .strip-OPEN')");

    shop.sim.set_faults(Plan::ok());
    assert_eq!(
        shop.post("/v1/kkt/circuit-breakers/ofd/reset", &serde_json::json!({ "reason": "mended" })).0,
        200
    );
    page.until("the end of it", "document.querySelector('[data-breaker=ofd]')?.dataset.state === 'CLOSED'");
    page.until_says("#causes", "There is nothing to do");
    page.until_says("#feed", "mended");
    page.assert_no_console_errors();
    page.assert_no_foreign_requests();
}

#[test]
fn forcing_the_breaker_open_needs_a_reason_and_is_audited() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.click("[data-breaker=ofd] [data-action=force-open]");
    page.click("#act-submit");
    page.until_says("#act-error", "Fill in this field");
    page.fill("#act-reason", "OFD maintenance <b>tonight</b>");
    page.click("#act-submit");
    page.until("the state", "document.querySelector('[data-breaker=ofd]').dataset.state === 'FORCED_OPEN'");
    page.until_says("#causes", "stopped by hand");
    // Text stays text.
    assert!(page.text("[data-breaker=ofd]").contains("<b>tonight</b>"));

    let audit = shop.get("/v1/kkt/audit?subject=breaker:ofd");
    assert_eq!(audit["audit"][0]["action"], "force_open");
    assert_eq!(audit["audit"][0]["by"], "anonymous@loopback");
    assert_eq!(audit["audit"][0]["detail"], "OFD maintenance <b>tonight</b>");

    page.click("[data-breaker=ofd] [data-action=release]");
    page.click("#act-submit");
    page.until("the release", "document.querySelector('[data-breaker=ofd]').dataset.state === 'CLOSED'");
    page.assert_no_console_errors();
}

#[test]
fn the_keyboard_alone_is_enough_to_force_the_breaker_open() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "ru");
    page.until_ready();
    let at = |selector: &str| page.evaluate(&format!("document.activeElement.matches({selector:?})")) == true;
    let tab_to = |selector: &str| {
        for _ in 0..40 {
            if at(selector) {
                return;
            }
            page.press("Tab");
        }
        panic!("40 tabs do not lead to {selector}");
    };
    tab_to("[data-breaker=ofd] [data-action=force-open]");
    page.press("Enter");
    page.until("the dialog", "document.getElementById('act').open");
    assert!(at("#act-reason"), "the focus is in the first field");
    page.press("Escape");
    page.until("Escape closes it", "!document.getElementById('act').open");
    assert!(at("[data-breaker=ofd] [data-action=force-open]"), "the focus is back where it was");
    page.press("Enter");
    page.until("the dialog", "document.getElementById('act').open");
    page.type_text("работы у ОФД");
    page.press("Enter");
    page.until("the state", "document.querySelector('[data-breaker=ofd]').dataset.state === 'FORCED_OPEN'");
    assert_eq!(shop.get("/v1/kkt/audit?subject=breaker:ofd")["audit"][0]["detail"], "работы у ОФД");
}

#[test]
fn a_dead_letter_is_requeued_and_another_one_closed() {
    let shop = Shop::open();
    shop.sim.set_faults(reject_receipts());
    shop.sell_as("POS-001", "bad-1", "Линза");
    shop.sell_as("POS-001", "bad-2", "Линза");
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until("two dead letters", "document.querySelectorAll('#dead .row').length === 2");
    assert_eq!(page.text("#dead-count"), "2");
    shop.sim.set_faults(Plan::ok());

    page.click("#dead .row [data-action=requeue]");
    page.fill("#act-reason", "the OFD has mended its filter");
    page.click("#act-submit");
    page.until("one is left", "document.querySelectorAll('#dead .row').length === 1");
    page.click("#dead .row [data-action=resolve]");
    page.click("#act-submit");
    page.until_says("#act-error", "Fill in this field");
    page.fill("#act-note", "sold again under another receipt");
    page.click("#act-submit");
    page.until("none is left", "document.querySelectorAll('#dead .row').length === 0");
    page.until_says("#feed", "requeued document");

    shop.until_delivered();
    let states: Vec<String> = ["bad-1", "bad-2"]
        .iter()
        .map(|key| shop.get(&format!("/v1/kkt/receipt/{key}"))["state"].as_str().unwrap().to_owned())
        .collect();
    assert!(states.contains(&"synced".to_owned()) && states.contains(&"dead".to_owned()), "{states:?}");
    page.assert_no_console_errors();
    page.assert_no_foreign_requests();
}

#[test]
fn a_lost_connection_is_said_clearly_and_mends_by_itself() {
    let mut shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    let address = shop.stop();
    page.until("the alarm", "!document.getElementById('lost').hidden && document.getElementById('lost').innerText.includes('No connection')");
    page.until_says("#live", "No connection");
    shop.start(Some(address));
    page.until("it is back", "document.getElementById('lost').hidden");
    page.until_says("#live", "Live");
}

// At 9 p.m.: a full buffer is the one thing of an outage that stops sales, and the page must not say two things at once.
#[test]
fn a_full_buffer_says_that_the_shop_cannot_sell_and_what_to_do_and_nothing_that_calms() {
    let shop = Shop::with(&Setup { recovery: Some("60s"), capacity: Some(8), ..Setup::default() });
    shop.sell("POS-001");
    shop.until_delivered();
    shop.break_ofd();
    shop.until("the buffer is full", || (shop.try_to_sell("POS-001") == 503).then_some(()));
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until_says("#verdict-title", "The shop cannot sell");
    let causes = page.text("#causes");
    assert!(causes.contains("raise buffer.capacity") && causes.contains("call the OFD now"), "{causes}");
    assert!(!causes.contains("Nothing now") && !causes.contains("Receipts are printed"), "{causes}");
    page.assert_no_console_errors();
}

// At 9 p.m.: what the till is answered and what the page says are one.
#[test]
fn a_disk_without_room_says_that_the_shop_cannot_sell_and_where_to_make_room() {
    let shop = Shop::with(&Setup { min_free_disk: Some("1024TiB"), ..Setup::default() });
    assert_eq!(shop.try_to_sell("POS-001"), 503);
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until_says("#verdict-title", "The shop cannot sell");
    let causes = page.text("#causes");
    assert!(
        causes.contains("Too little free disk space") && causes.contains("not in the adapter's folder"),
        "{causes}"
    );
    assert!(!causes.contains("raise buffer.capacity"), "{causes}");
    page.until_says("#figures", "Disk space");
    page.click("[data-language=ru]");
    page.until_says("#verdict-title", "Магазин не может продавать");
    page.until_says("#causes", "На диске мало места");
    page.assert_no_console_errors();
}

// P2
#[test]
fn a_damaged_document_is_told_with_what_to_do() {
    let mut shop = Shop::open();
    shop.sell("POS-001");
    shop.until_delivered();
    let address = shop.stop();
    shop.rot("UPDATE documents SET attempts = attempts + 1 WHERE kind = 0");
    shop.start(Some(address));
    shop.get("/v1/kkt/receipts");
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until_says("#causes", "1 stored document was damaged");
    page.until_says("#causes", "Delete nothing in the adapter's folder");
    assert_eq!(page.text("#verdict-title"), "The shop can sell");
    page.click("#causes [data-action=resolve-damage]");
    page.fill("#act-note", "it is in the OFD's cabinet");
    page.click("#act-submit");
    page.until("the alarm ends", "!document.querySelector('#causes').innerText.includes('damaged')");
    assert_eq!(shop.get("/v1/health")["status"], "healthy");
    page.assert_no_console_errors();
}

// An alarm about the oldest document leads to it, wherever in the list it stands.
#[test]
fn the_oldest_document_is_one_click_from_the_alarm_about_it() {
    let shop = Shop::with(&Setup { recovery: Some("60s"), ..Setup::default() });
    shop.break_ofd();
    shop.sell("POS-001");
    let oldest =
        shop.get("/v1/kkt/buffer/status")["oldest_pending"]["receipt_id"].as_str().unwrap().to_owned();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    // Nobody waits four days for a test: the adapter's answer is made older on its way.
    page.evaluate(
        "{ const real = window.fetch; window.fetch = async (path, ...rest) => { \
         const answer = await real(path, ...rest); if (!String(path).endsWith('/buffer/status')) return answer; \
         const body = await answer.json(); body.oldest_pending_seconds = 4 * 86400; \
         return new Response(JSON.stringify(body), { headers: answer.headers }); }; }",
    );
    page.until_says("#causes", "The oldest receipt has waited for the OFD for 4 d");
    page.click("#causes [data-control=open]");
    page.until("the document", "document.getElementById('paper').open");
    page.until_says("#paper-body", &oldest);
    page.assert_no_console_errors();
}
