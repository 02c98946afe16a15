//! What somebody may have meant.

/// Less alike than this and a suggestion is a guess.
const ALIKE_MIN: f64 = 0.6;

/// The known name most like `name`; the right key under a wrong section counts as alike.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |path: &str| path.rsplit(['.']).next().unwrap_or_default().to_lowercase();
    let wanted = name.to_lowercase();
    known
        .filter(|known| !known.is_empty())
        .map(|known| {
            let whole = strsim::normalized_damerau_levenshtein(&wanted, &known.to_lowercase());
            let tail = strsim::normalized_damerau_levenshtein(&last(name), &last(known));
            (known, whole.max(tail * 0.95))
        })
        .filter(|(_, alike)| *alike >= ALIKE_MIN)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(known, _)| known)
}
