//! The pictures of the README, taken from a running adapter: `cargo xtask pictures`.

use super::{
    chrome::{Chrome, Page},
    shop::{Setup, Shop, reject_receipts},
};
use std::{path::PathBuf, process::Command};

/// As much of a page as a reader of the README looks at.
const HEIGHT_MAX: u32 = 1_300;

fn take(page: &Page, name: &str, width: u32, dark: bool) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pictures"));
    std::fs::create_dir_all(&folder).unwrap();
    page.dark(dark);
    page.viewport(width, 900);
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => 0)",
    );
    page.until("still", "document.getAnimations().every((one) => one.playState === 'finished')");
    let file = folder.join(format!("{name}.png"));
    let base64 = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(base64.path(), page.picture(width, HEIGHT_MAX)).unwrap();
    let out = std::fs::File::create(&file).unwrap();
    assert!(Command::new("base64").arg("-d").arg(base64.path()).stdout(out).status().unwrap().success());
    println!("{}", file.display());
}

fn busy_day(shop: &Shop) {
    for (pos, key, name) in [
        ("POS-001", "5b0c4e1a-0001", "Оправа Ray-Ban RB2140"),
        ("POS-002", "5b0c4e1a-0002", "Линзы Acuvue Oasys, 6 шт."),
        ("POS-001", "5b0c4e1a-0003", "Футляр"),
        ("POS-003", "5b0c4e1a-0004", "Проверка зрения"),
        ("POS-002", "5b0c4e1a-0005", "Оправа Vogue VO5051"),
        ("POS-001", "5b0c4e1a-0006", "Раствор для линз, 360 мл"),
    ] {
        shop.sell_as(pos, key, name);
    }
    shop.until_delivered();
}

#[test]
#[ignore = "writes docs/pictures; run by `cargo xtask pictures`"]
fn pictures() {
    let shop = Shop::with(&Setup { recovery: Some("60s"), ..Setup::default() });
    busy_day(&shop);
    let chrome = Chrome::start();
    let (en, ru) = (chrome.open(&shop.url, "en"), chrome.open(&shop.url, "ru"));
    for page in [&en, &ru] {
        page.until_ready();
        page.until("the receipts", "document.querySelectorAll('#receipts-body tr').length >= 9");
    }
    take(&en, "dashboard-light-en", 1_440, false);
    take(&ru, "dashboard-light-ru", 1_440, false);
    take(&en, "dashboard-dark-en", 1_440, true);

    shop.sim.set_faults(reject_receipts());
    shop.sell_as("POS-003", "5b0c4e1a-0007", "Оправа без кода товара");
    shop.until("a dead letter", || (shop.get("/v1/kkt/dlq")["dlq_size"] == 1).then_some(()));
    shop.break_ofd();
    for _ in 0..3 {
        shop.sell("POS-002");
    }
    for page in [&en, &ru] {
        page.until("the outage", "document.querySelector('[data-breaker=ofd]')?.dataset.state === 'OPEN'");
        page.until("the dead letter", "document.querySelector('#dead .row')");
    }
    take(&en, "outage-light-en", 1_440, false);
    take(&ru, "outage-dark-ru", 1_440, true);
    take(&ru, "outage-phone-ru", 360, false);

    shop.set_kkt_faults("POS-002", "hang_after_print = 1\nlose_find = 1\n");
    shop.sell("POS-002");
    shop.set_kkt_faults("POS-001", "paper_out = true\n");
    shop.set_kkt_faults("POS-003", "paper_out = true\n");
    shop.sell("POS-001");
    shop.sell("POS-003");
    for page in [&en, &ru] {
        page.until("the question", "document.querySelector('#unknown .row')");
        page.until("no register prints", "document.getElementById('verdict').dataset.level === 'bad'");
    }
    take(&en, "cannot-sell-light-en", 1_440, false);
    take(&ru, "cannot-sell-phone-ru", 360, true);
}
