//! Actions to and from protobuf. Reading normalises nothing: the signers signed what is there.

use sotto_proto::associations as proto;

use super::error::IdentityError;
use super::identifier::Identifier;
use super::member::MemberIdentifier;
use super::signature::Signature;
use super::update::Action;

pub(super) fn decode_action(
    action: proto::IdentityAction,
) -> Result<Action<Signature>, IdentityError> {
    use proto::identity_action::Kind;
    let member = |member| {
        MemberIdentifier::from_proto(member)
            .ok_or(IdentityError::Malformed("missing member identifier"))
    };
    let identifier = |kind, text, relying_party| {
        Identifier::from_wire(kind, text, relying_party)
            .ok_or(IdentityError::Malformed("passkey identifier is not hex"))
    };
    let kind = action
        .kind
        .ok_or(IdentityError::Malformed("missing action"))?;
    Ok(match kind {
        Kind::CreateInbox(create) => Action::CreateInbox {
            identifier: identifier(
                create.initial_identifier_kind,
                create.initial_identifier,
                create.relying_party,
            )?,
            nonce: create.nonce,
            signature: Signature::from_proto(create.initial_identifier_signature)?,
        },
        // The action's own relying party says nothing: the identifier has one.
        Kind::Add(add) => Action::AddAssociation {
            new_member: member(add.new_member_identifier)?,
            existing_member_signature: Signature::from_proto(add.existing_member_signature)?,
            new_member_signature: Signature::from_proto(add.new_member_signature)?,
        },
        Kind::Revoke(revoke) => Action::RevokeAssociation {
            member: member(revoke.member_to_revoke)?,
            recovery_signature: Signature::from_proto(revoke.recovery_identifier_signature)?,
        },
        Kind::ChangeRecoveryAddress(change) => Action::ChangeRecoveryIdentifier {
            identifier: identifier(
                change.new_recovery_identifier_kind,
                change.new_recovery_identifier,
                change.relying_party,
            )?,
            recovery_signature: Signature::from_proto(
                change.existing_recovery_identifier_signature,
            )?,
        },
    })
}

pub(super) fn encode_action(action: &Action<Signature>) -> proto::IdentityAction {
    use proto::identity_action::Kind;
    let relying_party = |identifier: &Identifier| identifier.relying_party().map(str::to_owned);
    let kind = match action {
        Action::CreateInbox {
            identifier,
            nonce,
            signature,
        } => Kind::CreateInbox(proto::CreateInbox {
            initial_identifier: identifier.to_string(),
            nonce: *nonce,
            initial_identifier_signature: Some(signature.to_proto()),
            initial_identifier_kind: identifier.kind().to_wire(),
            relying_party: relying_party(identifier),
        }),
        Action::AddAssociation {
            new_member,
            existing_member_signature,
            new_member_signature,
        } => Kind::Add(proto::AddAssociation {
            new_member_identifier: Some(new_member.to_proto()),
            existing_member_signature: Some(existing_member_signature.to_proto()),
            new_member_signature: Some(new_member_signature.to_proto()),
            relying_party: new_member.identifier().and_then(relying_party),
        }),
        Action::RevokeAssociation {
            member,
            recovery_signature,
        } => Kind::Revoke(proto::RevokeAssociation {
            member_to_revoke: Some(member.to_proto()),
            recovery_identifier_signature: Some(recovery_signature.to_proto()),
        }),
        Action::ChangeRecoveryIdentifier {
            identifier,
            recovery_signature,
        } => Kind::ChangeRecoveryAddress(proto::ChangeRecoveryAddress {
            new_recovery_identifier: identifier.to_string(),
            existing_recovery_identifier_signature: Some(recovery_signature.to_proto()),
            new_recovery_identifier_kind: identifier.kind().to_wire(),
            relying_party: relying_party(identifier),
        }),
    };
    proto::IdentityAction { kind: Some(kind) }
}
