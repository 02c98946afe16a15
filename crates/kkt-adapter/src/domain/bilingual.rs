//! Texts for people that are «по-русски / in English» at once, because an adapter does not know who reads its answer.

const BETWEEN: &str = " / ";

/// Both halves of a text; one without halves is its own translation.
#[must_use]
pub fn both(text: &str) -> (&str, &str) {
    text.split_once(BETWEEN).unwrap_or((text, text))
}

/// Several such texts as one: first all of the Russian, then all of the English.
#[must_use]
pub fn together<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let (russian, english): (Vec<&str>, Vec<&str>) = texts.into_iter().map(both).unzip();
    let (russian, english) = (russian.join(" "), english.join(" "));
    if russian == english { russian } else { format!("{russian}{BETWEEN}{english}") }
}

#[cfg(test)]
mod tests {
    use super::together;

    #[test]
    fn several_texts_are_one_in_each_language() {
        assert_eq!(together([]), "");
        assert_eq!(together(["НДС. / VAT."]), "НДС. / VAT.");
        assert_eq!(together(["НДС. / VAT.", "Сдача. / Change."]), "НДС. Сдача. / VAT. Change.");
        assert_eq!(together(["only English"]), "only English", "as older versions stored them");
        assert_eq!(together(["old.", "НДС. / VAT."]), "old. НДС. / old. VAT.");
    }
}
