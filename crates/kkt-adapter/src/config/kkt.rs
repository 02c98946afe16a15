use super::{
    key::*,
    rules,
    secret::SecretFile,
    section::{section, words},
};
use crate::domain::{document::Identity, receipt::Taxation};
use std::time::Duration;

words! {
    /// What prints.
    Driver {
        /// An emulated KKT with an emulated ФН: nothing is fiscal.
        Virtual = "virtual",
    }
}

words! {
    /// Default taxation system of a device (FFD tag 1055).
    TaxationWord {
        /// ОСН.
        Osn = "osn",
        /// УСН доход.
        UsnIncome = "usn_income",
        /// УСН доход−расход.
        UsnIncomeOutcome = "usn_income_outcome",
        /// ЕСХН.
        Eshn = "eshn",
        /// Патент.
        Patent = "patent",
    }
}

section! {
    /// `[kkt]`: the cash registers.
    Kkt {
        /// What prints. A virtual device keeps its state beside the buffer, in `virtual-kkt`.
        "kkt.driver" "KKT_KKT__DRIVER" driver: Driver = "virtual", Kind::Choice(Driver::WORDS);
        /// A print that takes longer leaves its receipt `buffered`; the KKT is asked what became of it.
        "kkt.print_timeout" "KKT_KKT__PRINT_TIMEOUT" print_timeout: Duration = "10s", span(10, 5 * MINUTE);
        /// The devices and their tills. A till that none names has a virtual device of its own name.
        "kkt.device" "KKT_KKT__DEVICE" device: Vec<Device> = "", Kind::Tables(|| Device::KEYS, 1_000);
    }
}

section! {
    /// One `[[kkt.device]]`.
    Device {
        /// Its name: of its breaker (`device:<id>`), its lane and its state on disk.
        "id" "" id: String = "required", Kind::Text(&rules::DEVICE_ID);
        /// The tills that print on it, at least one.
        "pos_ids" "" pos_ids: Vec<String> = "required", Kind::List(&rules::POS_ID, 1_000);
        /// INN of the user of the KKT.
        "identity.inn" "" inn: Option<String> = "", Kind::Text(&INN);
        /// Registration number of the KKT.
        "identity.rn_kkt" "" rn_kkt: Option<String> = "", Kind::Text(&RN_KKT);
        /// Name of the OFD, as it is printed.
        "identity.ofd_name" "" ofd_name: Option<String> = "", Kind::Text(&OFD_NAME);
        /// Default taxation system; `osn` if not given.
        "identity.taxation" "" taxation: Option<TaxationWord> = "", Kind::Choice(TaxationWord::WORDS);
        /// File with this device's own token for the OFD.
        "token_file" "" token_file: Option<SecretFile> = "", Kind::Text(&rules::PATH), reload;
    }
}

static INN: Rule = Rule {
    name: "inn",
    words: "10 or 12 digits",
    holds: |text| matches!(text.len(), 10 | 12) && text.bytes().all(|b| b.is_ascii_digit()),
};

static RN_KKT: Rule = Rule {
    name: "number",
    words: "16 digits",
    holds: |text| text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit()),
};

static OFD_NAME: Rule = Rule {
    name: "text",
    words: "1 to 256 characters",
    holds: |text| (1..=256).contains(&text.chars().count()) && !text.contains(char::is_control),
};

impl Device {
    /// Who the device is registered as; `None` if nothing was said of it.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        Some(Identity {
            inn: self.inn.clone()?,
            rn_kkt: self.rn_kkt.clone()?,
            ofd_name: self.ofd_name.clone()?,
            taxation: self.taxation.map_or(Taxation::Osn, Taxation::from),
        })
    }
}

impl From<TaxationWord> for Taxation {
    fn from(word: TaxationWord) -> Self {
        match word {
            TaxationWord::Osn => Self::Osn,
            TaxationWord::UsnIncome => Self::UsnIncome,
            TaxationWord::UsnIncomeOutcome => Self::UsnIncomeOutcome,
            TaxationWord::Eshn => Self::Eshn,
            TaxationWord::Patent => Self::Patent,
        }
    }
}
