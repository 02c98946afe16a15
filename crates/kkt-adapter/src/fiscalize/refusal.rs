//! Why a document that is safe was not printed now, in words a cashier understands, Russian and English.

use crate::{
    domain::{bilingual::both, ids::ReceiptId},
    ports::BufferError,
};
use std::time::Duration;

/// Why a document was not printed now.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The device did not print it, in its own words.
    Device(String),
    /// The device was busy with others for too long.
    Busy,
    /// The device did not say whether it printed a document; nothing is printed before it does.
    Unsettled(String),
    /// Nobody knows whether this document was printed: nothing is printed until a person decides.
    Blocked(ReceiptId),
    /// What became of this document on the device could not be written, for this reason; the device is asked about it, and
    /// prints nothing before.
    Unwritten(ReceiptId, String),
    /// The buffer did not take what had to be written first.
    Storage(BufferError),
}

impl From<BufferError> for Refusal {
    fn from(error: BufferError) -> Self {
        Self::Storage(error)
    }
}

/// What is written when a device does not answer.
pub fn no_answer(within: Duration) -> String {
    let seconds = within.as_secs_f32();
    format!("касса не ответила за {seconds} с / the KKT did not answer within {seconds} s")
}

impl Refusal {
    fn reasons(&self) -> (String, String) {
        match self {
            Self::Device(words) => {
                let (russian, english) = both(words);
                (russian.into(), english.into())
            }
            Self::Busy => {
                ("касса занята другими чеками".into(), "the KKT is busy with other receipts".into())
            }
            Self::Unsettled(words) => {
                let (russian, english) = both(words);
                (
                    format!("касса не говорит, напечатан ли последний документ ({russian})"),
                    format!("the KKT does not say whether the last document was printed ({english})"),
                )
            }
            Self::Blocked(id) => (
                format!("касса остановлена: неизвестно, напечатан ли документ {id}; позовите старшего"),
                format!(
                    "the KKT is stopped: nobody knows whether document {id} was printed; call the person in charge"
                ),
            ),
            Self::Unwritten(id, why) => {
                let (russian, english) = both(why);
                (
                    format!("буфер не записал, чем кончилась печать документа {id} ({russian})"),
                    format!("the buffer did not write how the printing of document {id} ended ({english})"),
                )
            }
            Self::Storage(error) => {
                let words = match error {
                    // Without its «nothing was stored»: the document is.
                    BufferError::Full { reason, .. } => reason.clone(),
                    other => other.to_string(),
                };
                let (russian, english) = both(&words);
                (format!("буфер не записывает: {russian}"), format!("the buffer does not write: {english}"))
            }
        }
    }

    /// The reason in both languages, for the row and the device's view.
    pub fn reason(&self) -> String {
        let (russian, english) = self.reasons();
        if russian == english { russian } else { format!("{russian} / {english}") }
    }

    /// What the till shows of the receipt `id`.
    pub fn message(&self, id: ReceiptId) -> String {
        let (russian, english) = self.reasons();
        match self {
            Self::Blocked(blocker) if *blocker == id => "Чек сохранён, но неизвестно, напечатан ли он: посмотрите на \
                 бумагу и позовите старшего; не пробивайте чек второй раз. / The receipt is safe, but nobody knows \
                 whether it was printed: look at the paper and call the person in charge; do not ring it up again."
                .into(),
            Self::Unwritten(own, why) if *own == id => {
                let (russian, english) = both(why);
                format!(
                    "Чек сохранён. Касса, возможно, уже напечатала его, но итог печати ещё не записан ({russian}): \
                     посмотрите на бумагу; не пробивайте чек второй раз, адаптер сам спросит кассу. / The receipt is safe. \
                     The KKT may have printed it already, but the result is not written yet ({english}): look at the \
                     paper; do not ring it up again, the adapter asks the KKT by itself."
                )
            }
            _ => format!(
                "Чек сохранён, но не напечатан: {russian}. Он напечатается сам, когда касса будет готова; не пробивайте \
                 его второй раз. / The receipt is safe but not printed: {english}. It will be printed by itself once \
                 the KKT is ready; do not ring it up again."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_reason_each_language_is_in_one_piece() {
        let (own, other) = (ReceiptId::new(), ReceiptId::new());
        let words = || "нет бумаги / out of paper".to_owned();
        let full = BufferError::Full { reason: words(), retry_after: Duration::from_secs(60) };
        for refusal in [
            Refusal::Device(words()),
            Refusal::Busy,
            Refusal::Unsettled(words()),
            Refusal::Blocked(own),
            Refusal::Blocked(other),
            Refusal::Unwritten(own, words()),
            Refusal::Unwritten(other, words()),
            Refusal::Storage(full),
        ] {
            for text in [refusal.reason(), refusal.message(own)] {
                let halves: Vec<&str> = text.split(" / ").collect();
                assert_eq!(halves.len(), 2, "{text}");
                assert!(!halves[0].contains("out of paper"), "{text}");
                assert!(!halves[1].contains(|c: char| ('А'..='я').contains(&c)), "{text}");
            }
        }
    }
}
