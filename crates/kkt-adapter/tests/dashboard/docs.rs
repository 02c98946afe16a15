//! The page of the API: it shows every operation, by keyboard and on a phone, and nothing leaves the machine.

use super::{
    chrome::Chrome,
    layout::{assert_accessible, assert_fits, axe},
    shop::{Setup, Shop, token},
};

#[test]
fn the_page_shows_every_operation_of_the_document() {
    let shop = Shop::open();
    let document = shop.get("/openapi.json");
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.go("/docs#sell");
    page.until("the document", "document.querySelectorAll('.operation').length > 30");
    let paths = document["paths"].as_object().unwrap();
    let count: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
    assert_eq!(page.evaluate("document.querySelectorAll('.operation').length"), count);
    // The operation that the address names is open: role, bounds, command, answers, codes of errors.
    page.until("it is open", "document.getElementById('sell').open");
    for text in [
        "pos (its own tills), operator",
        "Idempotency-Key",
        "1 to 1000 entries",
        "1 to 255 characters",
        "0, 5, 7, 10, 18, 20, 22",
        "payments",
    ] {
        page.until_says("#sell", text);
    }
    page.evaluate("for (const one of document.querySelectorAll('#sell details')) one.open = true");
    page.until_says("#sell", "idempotency_key_reused");
    let command = page.text("#sell .sample code");
    assert!(command.contains(&format!("curl -s {}/v1/kkt/receipt", shop.url)), "{command}");
    page.fill("#filter", "force");
    page.until_says("#contents", "Stop sending");
    assert!(!page.text("#contents").contains("Sell, refund"));
    page.assert_no_console_errors();
    page.assert_no_foreign_requests();
}

#[test]
fn the_page_is_used_by_keyboard_and_copies_the_command() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.go("/docs");
    page.until("the document", "document.getElementById('sell')");
    page.evaluate("document.querySelector('#sell summary').focus()");
    page.press("Enter");
    page.until("open", "document.getElementById('sell').open");
    page.press("Tab");
    page.until("the command can be scrolled by keys", "document.activeElement.matches('#sell .sample pre')");
    page.press("Tab");
    page.until("the button", "document.activeElement.matches('#sell .sample button')");
    page.press("Enter");
    page.until_says("#copied", "opied");
    page.assert_no_console_errors();
}

#[test]
fn with_tokens_the_page_asks_for_one_and_shows_nothing_before() {
    let tokens = vec![("ops", "operator"), ("eye", "reader"), ("till", "pos")];
    let shop = Shop::with(&Setup { tokens, ..Setup::default() });
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.go("/docs");
    page.until("the login", "!document.getElementById('login').hidden");
    assert_eq!(page.evaluate("document.querySelectorAll('.operation').length"), 0);
    page.fill("#login-token", "wrong");
    page.press("Enter");
    page.until_says("#login-error", "no such token");
    page.evaluate("document.getElementById('login-token').value = ''");
    page.fill("#login-token", &token("eye"));
    page.press("Enter");
    page.until("the document", "document.querySelectorAll('.operation').length > 30");
    page.assert_no_foreign_requests();
}

#[test]
fn the_page_fits_a_phone_and_has_no_barriers() {
    let axe = axe();
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.go("/docs");
    page.until("the document", "document.getElementById('sell')");
    page.evaluate(
        "for (const id of ['sell', 'events', 'decideReceipt']) document.getElementById(id).open = true",
    );
    page.evaluate("for (const one of document.querySelectorAll('#sell details')) one.open = true");
    for (width, dark) in [(360, false), (360, true), (768, false), (1_440, true)] {
        page.viewport(width, 800);
        page.dark(dark);
        assert_fits(&page, &format!("{width} px"));
        assert_accessible(&page, &axe, &format!("{width} px, dark: {dark}"));
    }
}
