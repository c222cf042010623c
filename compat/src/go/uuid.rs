//! UUIDs as Consul's tables read them.

/// The length of a UUID in text.
const LEN: usize = 36;
/// Hyphens that a UUID has.
const HYPHENS: usize = 4;

/// The lower-case form of a UUID, by which it is kept; else what Consul's tables say of the text.
pub(crate) fn uuid_key(text: &str) -> Result<String, String> {
    if text.len() != LEN {
        return Err("UUID must be 36 characters".to_owned());
    }
    let hyphens = text.matches('-').count();
    if hyphens > HYPHENS {
        return Err(format!("UUID should have maximum of 4 \"-\"; got {hyphens}"));
    }
    if !(LEN - hyphens).is_multiple_of(2) {
        return Err("Input (without hyphens) must be even length".to_owned());
    }
    match text.chars().filter(|c| *c != '-').find(|c| !c.is_ascii_hexdigit()) {
        Some(odd) => Err(format!(
            "Invalid UUID: encoding/hex: invalid byte: U+{:04X} '{odd}'",
            u32::from(odd)
        )),
        None => Ok(text.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::uuid_key;

    #[test]
    fn texts_are_read_as_consuls_tables_do() {
        let cases = [
            ("zz", Err("UUID must be 36 characters")),
            ("5C3D7C09-bdaf-7299-49ca-473ffe33ba55", Ok("5c3d7c09-bdaf-7299-49ca-473ffe33ba55")),
            (
                "zc3d7c09-bdaf-7299-49ca-473ffe33ba55",
                Err("Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"),
            ),
            (
                "5-3d7c09-bdaf-7299-49ca-473ffe33ba55",
                Err("UUID should have maximum of 4 \"-\"; got 5"),
            ),
            (
                "5a3d7c09abdaf-7299-49ca-473ffe33ba55",
                Err("Input (without hyphens) must be even length"),
            ),
        ];
        for (text, told) in cases {
            assert_eq!(uuid_key(text).as_deref().map_err(String::as_str), told, "{text}");
        }
    }
}
