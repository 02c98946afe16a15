//! A driver with a defect: what it panicked over is settled without a restart (P2).

use super::shop::{POS, Shop, rouble};
use async_trait::async_trait;
use kkt_adapter::{
    domain::{
        document::FiscalDoc,
        ids::{DeviceId, PosId, ReceiptId},
        lifecycle::State,
        receipt::Receipt,
    },
    kkt::virtual_kkt::{Fault, Faults, VirtualFleet},
    ports::{Found, KktDriver, KktError, KktFleet, ShiftState, Till},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// How often it is still to panic, before and after the print.
#[derive(Default)]
struct Panics {
    before: AtomicUsize,
    after: AtomicUsize,
}

fn panic_if(left: &AtomicUsize) {
    let is_due = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    assert!(!is_due, "a defect of the driver");
}

struct Panicky {
    inner: Arc<dyn KktDriver>,
    panics: Arc<Panics>,
}

#[async_trait]
impl KktDriver for Panicky {
    async fn fiscalize(&self, receipt: &Receipt, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        panic_if(&self.panics.before);
        let made = self.inner.fiscalize(receipt, key).await;
        panic_if(&self.panics.after);
        made
    }
    async fn open_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.inner.open_shift(key).await
    }
    async fn close_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.inner.close_shift(key).await
    }
    async fn find(&self, key: ReceiptId) -> Result<Found, KktError> {
        self.inner.find(key).await
    }
    async fn shift(&self) -> Result<ShiftState, KktError> {
        self.inner.shift().await
    }
}

struct Fleet {
    inner: Arc<VirtualFleet>,
    panics: Arc<Panics>,
}

impl KktFleet for Fleet {
    fn fiscal(&self) -> bool {
        false
    }
    fn device_of(&self, pos_id: &PosId) -> Result<DeviceId, KktError> {
        self.inner.device_of(pos_id)
    }
    fn driver(&self, device: &DeviceId) -> Result<Arc<dyn KktDriver>, KktError> {
        Ok(Arc::new(Panicky { inner: self.inner.driver(device)?, panics: Arc::clone(&self.panics) }))
    }
    fn floor(&self, device: &DeviceId, last_fd: u32) {
        self.inner.floor(device, last_fd);
    }
}

async fn shop(folder: &std::path::Path) -> (Shop, Arc<Panics>) {
    let panics = Arc::<Panics>::default();
    let theirs = Arc::clone(&panics);
    let shop = Shop::with_devices(folder, |inner| Arc::new(Fleet { inner, panics: theirs })).await;
    shop.printed("before", rouble()).await;
    (shop, panics)
}

#[tokio::test]
async fn a_sale_that_panicked_is_settled_and_printed_once_before_anything_else() {
    for after in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (shop, panics) = shop(folder.path()).await;
        let due = if after { &panics.after } else { &panics.before };
        due.store(1, SeqCst);
        shop.sell("a", rouble()).await.unwrap_err();
        let next = shop.printed("b", rouble()).await;
        if after {
            assert_eq!(shop.row("a").await.fiscal.unwrap().fiscal_doc_number, next - 1);
        }
        shop.until("a", State::Printed).await;
        assert_eq!(shop.receipts(POS).len(), 3);
        shop.assert_sound(POS).await;
    }
}

#[tokio::test]
async fn a_backlog_that_panicked_is_printed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, panics) = shop(folder.path()).await;
    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    for key in ["a", "b", "c"] {
        shop.buffered(key, rouble()).await;
    }
    panics.after.store(2, SeqCst);
    shop.fault(POS, Faults::none());
    for key in ["a", "b", "c"] {
        shop.until(key, State::Printed).await;
    }
    shop.until_true("nothing waits and nothing is wrong", |shop| {
        let view = &shop.till.devices()[0];
        (view.unprinted, &view.trouble) == (0, &None)
    })
    .await;
    assert_eq!(shop.receipts(POS).len(), 4);
    shop.assert_sound(POS).await;
}
