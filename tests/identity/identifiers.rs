//! What people type, and what is made of it.

use std::cmp::Ordering;

use sotto::identity::{Identifier, IdentifierError, IdentifierKind};

#[test]
fn addresses_are_lowered_and_nothing_else_is_made_of_them() {
    let address = "0x1234567890abcdef1234567890abcdef12345678";
    let expected = Ok(Identifier::Ethereum(address.into()));
    assert_eq!(Identifier::ethereum(address), expected);
    let mixed = "0x1234567890ABCDEF1234567890abcdef12345678";
    assert_eq!(Identifier::ethereum(mixed), expected);
    let upper = address.to_uppercase();
    let spaced = format!("{address} ");
    for bad in [
        &upper,
        &address[2..],
        &address[..41],
        &spaced,
        "",
        "0x",
        "name.eth",
    ] {
        assert_eq!(
            Identifier::ethereum(bad),
            Err(IdentifierError::Address),
            "{bad}"
        );
    }
}

#[test]
fn passkeys_are_the_same_whatever_site_they_are_for() {
    let here = Identifier::passkey("02AB", Some("here".into())).unwrap();
    let there = Identifier::passkey("0x02ab", Some("there".into())).unwrap();
    assert_eq!(here, there);
    assert_eq!(here.cmp(&there), Ordering::Equal);
    assert_eq!(here.text(), "02ab");
    assert_ne!(here, Identifier::passkey("03ab", None).unwrap());
    assert_ne!(here, Identifier::Ethereum("02ab".into()));
    for bad in ["0", "zz", "0x0", "0X02ab"] {
        assert_eq!(
            Identifier::passkey(bad, None),
            Err(IdentifierError::Passkey),
            "{bad}"
        );
    }
}

#[test]
fn canonical_is_what_somebody_can_sign_as() {
    let address = "0x1234567890abcdef1234567890abcdef12345678";
    assert!(Identifier::Ethereum(address.into()).is_canonical());
    for bad in [&address.to_uppercase().replace('X', "x"), &address[2..], ""] {
        assert!(
            !Identifier::Ethereum(bad.to_owned()).is_canonical(),
            "{bad}"
        );
    }
    let point = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    assert!(Identifier::passkey(point, None).unwrap().is_canonical());
    assert!(!Identifier::passkey("02", None).unwrap().is_canonical());
    assert!(
        !Identifier::passkey(&"02".repeat(32), None)
            .unwrap()
            .is_canonical()
    );
}

#[test]
fn unknown_kinds_read_as_ethereum() {
    for number in [i32::MIN, -1, 0, 1, 3, 77] {
        assert_eq!(IdentifierKind::from_wire(number), IdentifierKind::Ethereum);
    }
    assert_eq!(IdentifierKind::from_wire(2), IdentifierKind::Passkey);
    assert_eq!(IdentifierKind::Passkey.to_wire(), 2);
    assert_eq!(IdentifierKind::Ethereum.to_wire(), 1);
}
