//! What somebody may have meant.

/// Less alike than this and a suggestion is a guess.
const ALIKE_MIN: f64 = 0.6;
/// How alike a name is to one that begins with it.
const BEGINS: f64 = 0.8;

/// The known name most like `name`. A name of the same section whose last part begins as this one does (`ofd.token` and
/// `ofd.token_file`), or is like it, comes before a likeness elsewhere; the right key under a wrong section counts as alike.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let alike = |known: &str| {
        let known = known.to_lowercase();
        let ((section, last), (known_section, known_last)) = (split(&wanted), split(&known));
        let whole = strsim::normalized_damerau_levenshtein(&wanted, &known);
        let tail = strsim::normalized_damerau_levenshtein(last, known_last);
        let begins = goes_on(last, known_last) || goes_on(known_last, last);
        let tail = if begins { tail.max(BEGINS) } else { tail };
        // Of two keys of one section only what tells them apart counts.
        if section == known_section { (tail >= ALIKE_MIN, tail) } else { (false, whole.max(tail * 0.95)) }
    };
    known
        .filter(|known| !known.is_empty())
        .map(|known| (known, alike(known)))
        .filter(|(_, (_, alike))| *alike >= ALIKE_MIN)
        .max_by(|(_, (here, a)), (_, (there, b))| here.cmp(there).then(a.total_cmp(b)))
        .map(|(known, _)| known)
}

/// Whether `longer` is `shorter` and another word.
fn goes_on(shorter: &str, longer: &str) -> bool {
    !shorter.is_empty() && longer.strip_prefix(shorter).is_some_and(|rest| rest.starts_with('_'))
}

/// A path's section, which may be empty, and its last part; of a variable both in `KKT_SECTION__KEY`.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').or_else(|| path.rsplit_once("__")).unwrap_or(("", path))
}
