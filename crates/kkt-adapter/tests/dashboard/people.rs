//! Other things people do at the dashboard.

use super::{
    chrome::Chrome,
    shop::{Setup, Shop, reject_receipts},
};
use kkt_adapter::domain::lifecycle::ALLOWED;
use ofd_sim::{Plan, Rule};

#[test]
fn the_language_follows_the_browser_until_it_is_chosen_and_is_remembered() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "ru-RU,ru");
    page.until_ready();
    assert_eq!(page.text("#verdict-title"), "Магазин может продавать");
    assert_eq!(page.evaluate("document.documentElement.lang"), "ru");
    page.click("[data-language=en]");
    page.until_says("#verdict-title", "The shop can sell");
    assert_eq!(
        page.evaluate("document.querySelector('[data-language=en]').getAttribute('aria-pressed')"),
        "true"
    );
    page.go("/");
    page.until_ready();
    assert_eq!(page.text("#verdict-title"), "The shop can sell");
    let other = chrome.open(&shop.url, "de");
    other.until_ready();
    assert_eq!(other.text("#verdict-title"), "The shop can sell");
}

#[test]
fn the_way_to_the_erp_is_shown_where_there_is_one() {
    let chrome = Chrome::start();
    let with_erp = Shop::with(&Setup {
        more: "[heartbeat]\nurl = \"http://127.0.0.1:1/heartbeat\"\ninterval = \"100ms\"\n".into(),
        ..Setup::default()
    });
    let page = chrome.open(&with_erp.url, "en");
    page.until_ready();
    page.until("the ERP offline", "document.querySelector('#figures').innerText.includes('Does not answer')");
    let without = Shop::open();
    let page = chrome.open(&without.url, "en");
    page.until_ready();
    assert_eq!(page.evaluate("document.querySelector('#figures').innerText.includes('ERP')"), false);
}

#[test]
fn receipts_are_found_by_key_by_id_by_till_and_by_fd_and_shown_as_text() {
    let shop = Shop::open();
    let nasty = "<img src=x onerror=document.title=1>";
    let id = shop.sell_as("POS-001", "key-of-one", nasty)["receipt_id"].as_str().unwrap().to_owned();
    shop.sell_as("POS-002", "key-of-two", "Линза");
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    let rows = "document.querySelectorAll('#receipts-body tr:not([hidden])').length";
    page.until("both sales and both shifts", &format!("{rows} === 4"));
    let by_paper = [("ФД 2", 2), ("fd2", 2), ("2", 2), ("№ 1", 2), ("ФД 4711", 0)];
    for (text, found) in [("key-of-one", 1), (id.as_str(), 1), ("POS-002", 2)].into_iter().chain(by_paper) {
        page.evaluate("document.getElementById('search-text').value = ''");
        page.fill("#search-text", text);
        page.press("Enter");
        page.until(text, &format!("{rows} === {found}"));
    }
    page.evaluate("document.getElementById('search-text').value = ''");
    page.fill("#search-text", "nobody has this");
    page.press("Enter");
    page.until_says("#receipts-empty", "Nothing found");

    page.evaluate("document.getElementById('search-text').value = ''");
    page.fill("#search-text", "key-of-one");
    page.press("Enter");
    page.until("one", &format!("{rows} === 1"));
    page.click("#receipts-body button");
    page.until("the document", "document.getElementById('paper').open");
    assert!(page.text("#paper-body").contains(nasty), "the name as the till sent it");
    assert!(page.text("#paper-body").contains("start_printing"), "its story");
    page.click("#paper-close");
    page.click("[data-language=ru]");
    page.click("#receipts-body button");
    page.until_says("#paper-body", "отправлен на печать · адаптер");
    let story = page.text("#paper-body");
    for (_, step, _) in ALLOWED {
        let name = step.as_str();
        let word = page.evaluate(&format!("import('/assets/texts.js').then(({{ deed }}) => deed('{name}'))"));
        assert_ne!(word, name, "the audit's {name} has no Russian word; the story is {story}");
    }
    assert_eq!(page.evaluate("document.querySelectorAll('#paper-body img').length"), 0);
}

#[test]
fn a_person_decides_whether_a_document_was_printed() {
    let shop = Shop::open();
    shop.sell("POS-001");
    shop.set_kkt_faults("POS-001", "fail = 1\nlose_find = 1\nhang = { for = \"1ms\", times = 0 }\n");
    shop.set_kkt_faults("POS-001", "hang_after_print = 1\nlose_find = 1\n");
    shop.sell_as("POS-001", "in-doubt", "Линза");
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until("the question", "!document.getElementById('unknown').hidden");
    page.until_says("#causes", "waits for a decision");
    page.until_says("#figures", "a person must decide: see below");
    page.click("#unknown [data-action=printed]");
    page.fill("#act-fiscal_doc_number", "three");
    page.fill("#act-fiscal_sign", "1234567890");
    page.fill("#act-reason", "it is on the paper");
    page.click("#act-submit");
    page.until_says("#act-error", "Digits only");
    // An empty attribute would tell a screen reader that all is well.
    let said =
        |id: &str| page.evaluate(&format!("document.getElementById('{id}').getAttribute('aria-invalid')"));
    assert_eq!(said("act-fiscal_doc_number"), "true");
    assert_eq!(said("act-reason"), serde_json::Value::Null);
    assert_eq!(
        page.evaluate("document.getElementById('act-fiscal_doc_number').getAttribute('aria-describedby')"),
        "act-error"
    );
    page.evaluate("document.getElementById('act-fiscal_doc_number').value = ''");
    page.fill("#act-fiscal_doc_number", "3");
    page.click("#act-submit");
    page.until("it is answered", "document.getElementById('unknown').hidden");
    let entry = shop.get("/v1/kkt/receipt/in-doubt");
    assert_eq!(entry["fiscal_doc"]["fiscal_sign"], "1234567890");
    page.until_says("#tills", "Prints");
    page.assert_no_console_errors();
}

#[test]
fn a_dead_letter_that_has_nothing_to_send_offers_no_requeue_and_says_what_to_do() {
    let mut shop = Shop::open();
    shop.stop();
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.db");
    let python = rusqlite::Connection::open(&old).unwrap();
    python
        .execute_batch(
            "CREATE TABLE receipts (id, pos_id, created_at, hlc_local_time, hlc_logical_counter, fiscal_doc, status, \
             retry_count, last_error, synced_at); \
             INSERT INTO receipts VALUES ('3f0c4c1e-5f0e-4a53-9d6c-0d4b3b7c1a11', 'POS-001', 1760000000, 1760000000, 0, \
             '{\"type\":\"sale\",\"items\":[],\"payments\":[]}', 'pending', 0, NULL, NULL)",
        )
        .unwrap();
    drop(python);
    shop.import(&old);
    shop.start(None);
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    page.until_says("#dead", "There is nothing to send");
    page.until_says("#figures", "dead letters are left: 1");
    assert_eq!(page.evaluate("document.querySelectorAll('#dead [data-action=requeue]').length"), 0);
    page.click("#dead [data-action=resolve]");
    page.fill("#act-note", "never printed, rung up anew");
    page.click("#act-submit");
    page.until("it is closed", "!document.querySelector('#dead .row')");
    page.assert_no_console_errors();
}

/// Health as it is ten minutes later, without the wait: the lanes whose first document fails are stuck.
const TEN_MINUTES_LATER: &str = r#"(() => {
    const real = window.fetch;
    window.fetch = async (path, options) => {
        const answer = await real(path, options);
        if (path !== "/v1/health") return answer;
        const [health, worker] = [await answer.json(), await (await real("/v1/kkt/worker/status")).json()];
        const lanes = worker.lanes.filter((lane) => lane.head);
        health.components.sync.stuck = lanes.map((lane) => ({ ...lane, head: { ...lane.head, failing_for_seconds: 900 } }));
        return new Response(JSON.stringify(health), { headers: { "Content-Type": "application/json" } });
    };
})()"#;

// P2
#[test]
fn what_holds_up_the_queue_is_named_in_both_languages_and_a_person_sets_it_aside() {
    let shop = Shop::open();
    shop.sell("POS-001");
    shop.until_delivered();
    shop.sim.set_faults(Plan::fail_always(500));
    let first = shop.sell("POS-001")["receipt_id"].as_str().unwrap().to_owned();
    shop.sim.set_faults(Plan::ok().rule(Rule::poison_key(&first)));
    shop.sell("POS-001");
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    assert_eq!(
        page.evaluate("document.getElementById('held').hidden"),
        true,
        "seconds are nobody's business"
    );
    page.evaluate(TEN_MINUTES_LATER);
    page.until_says("#causes", "Register POS-001: document ФД 3 has not got through to the OFD for 15 min");
    page.until_says("#verdict-title", "The shop can sell");
    page.until_says("#held", "POS-001, ФД 3");
    page.click("[data-language=ru]");
    page.until_says(
        "#causes",
        "Касса POS-001: документ ФД 3 не проходит в ОФД уже 15 мин и держит остальные",
    );
    page.until_says("#held", "Что держит очередь");
    page.click("[data-language=en]");

    page.click("#held [data-action=park]");
    page.click("#act-submit");
    page.until_says("#act-error", "Fill in this field");
    page.fill("#act-reason", "the OFD cannot read it");
    page.click("#act-submit");
    page.until("it is gone", "document.getElementById('held').hidden");
    page.until_says("#dead", "set aside by anonymous@loopback: the OFD cannot read it");
    page.until_says("#feed", "set document");
    // What was behind it goes on.
    shop.until_delivered();
    assert_eq!(shop.get(&format!("/v1/kkt/audit?subject={first}"))["audit"][0]["action"], "park");
    page.assert_no_foreign_requests();
}

#[test]
fn only_a_document_that_can_be_the_cause_is_blamed() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until_ready();
    let todo = |ofd: &str, oldest_days: u32| {
        let script = format!(
            "import('/assets/verdict.js').then(({{ verdict }}) => verdict({{ components: {{ database: {{ status: 'healthy' }}, \
             buffer: {{ percent_full: 0, dlq_size: 0 }}, kkt: {{ devices: [] }}, sync: {{ stuck: [] }}, \
             circuit_breaker: {{ breakers: [{{ key: 'ofd', state: '{ofd}' }}] }} }} }}, \
             {{ oldest_pending_seconds: {oldest_days} * 86400 }}).causes.find((cause) => cause.text[0] === 'old').todo[0])"
        );
        page.evaluate(&script).as_str().unwrap().to_owned()
    };
    assert_eq!(todo("OPEN", 4), "oldDo", "the OFD is asked when it will be back");
    assert_eq!(todo("CLOSED", 4), "oldHereDo", "it is here; the OFD has nothing to say of it");
    assert_eq!(todo("CLOSED", 30), "tooOldDo");
    let causes = |ofd: &str, device: &str, lanes: u32, percent: u32| {
        let script = format!(
            "import('/assets/verdict.js').then(({{ verdict }}) => verdict({{ components: {{ database: {{ status: 'healthy' }}, \
             buffer: {{ percent_full: {percent}, dlq_size: 0 }}, kkt: {{ devices: [] }}, \
             circuit_breaker: {{ breakers: [{{ key: 'ofd', state: '{ofd}' }}, {{ key: 'device:K0', state: '{device}' }}] }}, \
             sync: {{ stuck: Array.from({{ length: {lanes} }}, (_, n) => ({{ device: `K${{n}}`, state: 'waiting', \
             head: {{ fiscal_doc_number: 7, failing_for_seconds: 900 }} }})) }} }} }}, {{}}).causes\
             .map((cause) => `${{cause.level}} ${{cause.text[0]}}`).join())"
        );
        page.evaluate(&script).as_str().unwrap().to_owned()
    };
    assert_eq!(causes("CLOSED", "CLOSED", 1, 0), "warn laneHeld");
    assert_eq!(causes("OPEN", "CLOSED", 1, 0), "info ofdOpen,info laneHeld", "with one till nobody can tell");
    assert_eq!(causes("OPEN", "CLOSED", 2, 0), "info ofdOpen", "two documents at once: it is the OFD");
    assert_eq!(causes("FORCED_OPEN", "CLOSED", 1, 0), "warn ofdForced");
    assert_eq!(causes("CLOSED", "OPEN", 1, 0), "warn denied", "its credentials are refused");
    assert_eq!(causes("OPEN", "CLOSED", 1, 100), "bad full,info ofdOpenFull", "nothing that calms");
}

// The newest come first, so those nearest to the law's limit are the last ones.
#[test]
fn every_dead_letter_is_reached_and_settled_from_a_phone() {
    let shop = Shop::open();
    shop.sim.set_faults(reject_receipts());
    for number in 0..12 {
        shop.sell_as("POS-001", &format!("bad-{number}"), "Линза");
    }
    shop.until("twelve", || (shop.get("/v1/kkt/dlq")["dlq_size"] == 12).then_some(()));
    shop.sim.set_faults(Plan::ok());
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.viewport(360, 800);
    page.go("/");
    page.until_ready();
    page.until("ten", "document.querySelectorAll('#dead .row').length === 10");
    page.until_says("#dead-more", "Show more (2 left)");
    page.click("#dead-more");
    page.until("all", "document.querySelectorAll('#dead .row').length === 12");
    assert_eq!(page.evaluate("document.getElementById('dead-more').hidden"), true);

    // The same levers where the document was looked up.
    page.fill("#search-text", "bad-0");
    page.press("Enter");
    page.until("one", "document.querySelectorAll('#receipts-body tr').length === 1");
    page.click("#receipts-body button");
    page.until("the document", "document.getElementById('paper').open");
    page.click("#paper-body [data-action=requeue]");
    page.click("#act-submit");
    page.until("it is on its way", "document.querySelectorAll('#dead .row').length === 11");
    shop.until("it is delivered", || (shop.get("/v1/kkt/receipt/bad-0")["state"] == "synced").then_some(()));
    page.assert_no_console_errors();
}

#[test]
fn sending_now_waits_as_long_as_the_adapter_does_and_says_when_it_is_under_way_already() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "ru");
    page.until_ready();
    page.evaluate(
        "window.asked = []; const real = AbortSignal.timeout.bind(AbortSignal); \
         AbortSignal.timeout = (patience) => { asked.push(patience); return real(patience); }; 0",
    );
    page.click("#sync-now");
    page.until_says("#sync-result", "Отправлено: 0");
    // A forced sync may take 25 s.
    assert_eq!(page.evaluate("Math.max(...asked)"), 30_000);
    page.evaluate(
        "const ask = window.fetch; window.fetch = (path, options) => path === '/v1/kkt/buffer/sync' \
         ? Promise.resolve(new Response('{\"detail\":\"a sync is already running\",\"type\":\"sync_running\"}', { status: 409 })) \
         : ask(path, options); 0",
    );
    page.click("#sync-now");
    page.until_says("#sync-result", "Отправка уже идёт");
}

#[test]
fn what_the_adapter_says_most_often_is_said_in_russian_whatever_the_numbers() {
    let shop = Shop::open();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "ru");
    page.until_ready();
    for (english, russian) in [
        (
            "1 failures in a row (threshold 1): the OFD is not available: no answer within 10000 ms",
            "отказов подряд: 1 (порог 1): ОФД недоступен: нет ответа за 10000 мс",
        ),
        ("1 of 10 calls failed", "неудачных вызовов: 1 из 10"),
        ("2 of 2 probes succeeded", "удачных проб: 2 из 2"),
        ("forced open by anna: maintenance", "остановлено вручную (anna): maintenance"),
        ("set aside by anna: case 815", "отложен (anna): case 815"),
        (
            "given up after 20 attempts, while others passed: the connection was cut after sending: HTTP 200",
            "не прошёл (попыток: 20), а другие проходили: связь оборвалась после отправки: HTTP 200",
        ),
        ("the ERP answered HTTP 502", "учётная система ответила HTTP 502"),
        ("нет бумаги / out of paper", "нет бумаги"),
    ] {
        let script = format!("import('/assets/texts.js').then(({{ half }}) => half('{english}'))");
        assert_eq!(page.evaluate(&script), russian);
    }
}
