//! Conversations in the order that strict templates ask for. Not here: which template is strict, which shows when it refuses (`prompt`).

use riad_core::chat::{Message, Role};

/// Between texts that become one.
const GAP: &str = "\n\n";

/// One message of the system at the beginning, if there is any; then the user's and the assistant's in turns, the user's first.
pub(super) fn alternate(messages: Vec<Message>) -> Vec<Message> {
    let (system, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| message.role == Role::System);
    let mut turns: Vec<Message> = Vec::new();
    for message in system {
        append(&mut turns, message);
    }
    if others.first().is_none_or(|message| message.role != Role::User) {
        turns.push(Message::user(""));
    }
    for message in others {
        append(&mut turns, message);
    }
    turns
}

/// The same for a template that knows no system: what it says begins the user's first message.
pub(super) fn without_system(turns: Vec<Message>) -> Vec<Message> {
    let mut joined: Vec<Message> = Vec::new();
    for mut message in turns {
        if message.role == Role::System {
            message.role = Role::User;
        }
        append(&mut joined, message);
    }
    joined
}

/// Puts a message behind the others, or its text behind that of the same role.
fn append(turns: &mut Vec<Message>, message: Message) {
    match turns.last_mut() {
        Some(last) if last.role == message.role => {
            if !last.content.is_empty() && !message.content.is_empty() {
                last.content.push_str(GAP);
            }
            last.content.push_str(&message.content);
        }
        Some(_) | None => turns.push(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(turns: &[(Role, &str)]) -> Vec<Message> {
        let message = |(role, content): &(Role, &str)| Message {
            role: *role,
            content: (*content).to_owned(),
        };
        turns.iter().map(message).collect()
    }

    #[test]
    fn texts_keep_their_order_within_their_roles() {
        use Role::{Assistant, System, User};
        type Outline<'a> = &'a [(Role, &'a str)];
        let table: [(Outline, Outline, Outline); 4] = [
            (
                &[(User, "a"), (System, "b"), (User, "c"), (Assistant, "d"), (System, "e")],
                &[(System, "b\n\ne"), (User, "a\n\nc"), (Assistant, "d")],
                &[(User, "b\n\ne\n\na\n\nc"), (Assistant, "d")],
            ),
            (&[(System, "a")], &[(System, "a"), (User, "")], &[(User, "a")]),
            (
                &[(Assistant, "a"), (Assistant, "b"), (User, "c")],
                &[(User, ""), (Assistant, "a\n\nb"), (User, "c")],
                &[(User, ""), (Assistant, "a\n\nb"), (User, "c")],
            ),
            (&[(User, "a"), (User, "")], &[(User, "a")], &[(User, "a")]),
        ];
        for (given, alternating, without) in table {
            let read = alternate(messages(given));
            assert_eq!(read, messages(alternating));
            assert_eq!(without_system(read), messages(without));
        }
    }
}
