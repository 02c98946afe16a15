//! How large the document of a receipt can become in the protocol of the OFD, never too low: what the receipt does
//! not tell yet counts with its longest form.

use super::super::{
    document,
    receipt::{Item, Receipt},
};

/// Largest document that travels in one message: container with header and trailer (session header, «body length»).
pub const DOCUMENT_BYTES_MAX: usize = 32_768;

/// Tag and length before each value.
const TLV_HEADER: usize = 4;

/// Container header and trailer.
const CONTAINER: usize = 32 + 10;

/// Tags that a receipt has once, and the longest form of each value in bytes. Strings are CP866: a byte a character.
const ONCE: &[(u16, usize)] = &[
    (3, 0),     // the document itself
    (1209, 1),  // FFD version
    (1189, 1),  // FFD version of the KKT
    (1042, 4),  // receipt number in the shift
    (1012, 4),  // time
    (1038, 4),  // shift number
    (1054, 1),  // kind
    (1055, 1),  // taxation
    (1037, 20), // registration number
    (1041, 16), // ФН
    (1040, 4),  // ФД
    (1077, 6),  // fiscal sign
    (1020, 8),  // total
    (1031, 8),  // cash
    (1081, 8),  // electronic
    (1215, 8),  // prepaid
    (1216, 8),  // credit
    (1217, 8),  // other
    (1102, 8),  // VAT sums by rate: 1102–1107 and the rates since 2025
    (1103, 8),
    (1104, 8),
    (1105, 8),
    (1106, 8),
    (1107, 8),
    (1115, 64),
    (1048, 256), // user
    (1018, 12),  // his INN
    (1009, 256), // address
    (1187, 256), // place
    (1021, 64),  // cashier
    (1203, 12),  // his INN
    (1008, 64),  // buyer's address
    (1117, 64),  // sender's address
    (1060, 256), // site of the tax service
    (1046, 256), // name of the OFD
    (1017, 12),  // its INN
    (1013, 20),  // serial number of the KKT
    (1206, 1),   // warnings of the operator
    (1162, 32),  // code of the goods, reserve
    (1173, 1),   // correction: kind
    (1178, 4),   // correction: date of the base
    (1179, 32),  // correction: number of the base
];

/// Tags of each item beside name, price, quantity and sums.
const PER_ITEM: &[(u16, usize)] = &[
    (1059, 0), // the item itself
    (1199, 1), // VAT code
    (1214, 1), // method
    (1212, 1), // subject
    (2108, 1), // measure (FFD 1.2)
];

/// Bytes of a VLN: little-endian without the zero bytes at its end, one at least.
fn vln(value: i64) -> usize {
    let bits = u64::BITS - value.unsigned_abs().leading_zeros();
    bits.div_ceil(8).max(1) as usize
}

fn tags(table: &[(u16, usize)]) -> usize {
    table.iter().map(|(_, value)| TLV_HEADER + value).sum()
}

fn item_bytes(item: &Item) -> usize {
    let name = TLV_HEADER + item.name.chars().take(document::NAME_CHARS_MAX).count();
    let price = TLV_HEADER + vln(item.price.0);
    let quantity = TLV_HEADER + 1 + vln(item.quantity.0);
    let total = TLV_HEADER + vln(item.total.0);
    // The VAT within a total is no larger than it.
    let vat = item.vat_rate.map_or(0, |_| total);
    tags(PER_ITEM) + name + price + quantity + total + vat
}

/// Upper bound of the encoded document in bytes, container included.
#[must_use]
pub fn document_bytes(receipt: &Receipt) -> usize {
    let correction = receipt.correction.as_ref().map_or(0, |c| 2 * TLV_HEADER + c.base.chars().count());
    CONTAINER + tags(ONCE) + correction + receipt.items.iter().map(item_bytes).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vln_has_as_many_bytes_as_its_value_needs() {
        let cases = [(0, 1), (1, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 3), (1_000_000_000_000, 5)];
        for (value, bytes) in cases {
            assert_eq!(vln(value), bytes, "{value}");
        }
    }
}
