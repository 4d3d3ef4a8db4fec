//! A prompt that fits the model's profile: system messages, as much of the history as there is room for, and the question
//! under its numbered passages. Not here: windows (`window`), where passages come from.

use crate::window::windows;
use riad_sdk::{Message, Passage, Profile, Prompt, Request, Role, StageError};

/// Tokens that a chat template puts around one message, at most: role names and marks.
const TEMPLATE_TOKENS: u32 = 8;

/// How many passages to search for: more than the prompt takes, since windows of the same text become one.
#[must_use]
pub fn search_limit(profile: &Profile) -> u32 {
    profile.passages.saturating_mul(3).clamp(1, 100)
}

/// Builds the prompt. Passages come best first; the last are dropped until the prompt fits. The question itself and system
/// messages are never cut: whether they fit into the context is for the host to say.
///
/// # Errors
/// `InvalidRequest` when the last message is not the user's.
pub fn build(request: &Request, passages: Vec<Passage>, count: impl Fn(&str) -> u32) -> Result<Prompt, StageError> {
    let question = request.question()?.trim();
    let profile = &request.profile;
    let budget = profile
        .prompt_tokens
        .min(profile.context_tokens.saturating_sub(request.max_tokens));
    let cost = |message: &Message| count(&message.content).saturating_add(TEMPLATE_TOKENS);

    let earlier = request.messages.split_last().map_or(&[][..], |(_, earlier)| earlier);
    let system: Vec<&Message> = earlier.iter().filter(|message| message.role == Role::System).collect();
    let system_cost: u32 = system.iter().map(|message| cost(message)).sum();

    let (sentences, most) = (profile.sentences as usize, profile.passages as usize);
    let mut kept = windows(question, passages, sentences, most);
    let mut last = Message::user(with_passages(question, &kept));
    let mut spent = system_cost.saturating_add(cost(&last));
    while spent > budget && kept.pop().is_some() {
        last = Message::user(with_passages(question, &kept));
        spent = system_cost.saturating_add(cost(&last));
    }

    let mut history = Vec::new();
    for message in earlier.iter().rev().filter(|message| message.role != Role::System) {
        spent = spent.saturating_add(cost(message));
        if spent > budget {
            break;
        }
        history.push(message);
    }
    // Templates expect a conversation to begin with the user.
    while history.last().is_some_and(|message| message.role == Role::Assistant) {
        history.pop();
    }

    let messages = system
        .into_iter()
        .chain(history.into_iter().rev())
        .cloned()
        .chain([last])
        .collect();
    Ok(Prompt {
        messages,
        passages: kept,
    })
}

fn with_passages(question: &str, passages: &[Passage]) -> String {
    if passages.is_empty() {
        return question.to_string();
    }
    let mut text = String::from("Passages:\n");
    for (index, passage) in passages.iter().enumerate() {
        text.push_str(&format!("[{}] {}\n", index + 1, passage.text));
    }
    text.push_str("\nQuestion: ");
    text.push_str(&question.split_whitespace().collect::<Vec<_>>().join(" "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(text: &str) -> Passage {
        Passage {
            document: "doc".to_string(),
            chunk: 0,
            title: "Title".to_string(),
            text: text.to_string(),
            score: 1.0,
            metadata: "{}".to_string(),
        }
    }

    fn request(messages: Vec<Message>, prompt_tokens: u32) -> Request {
        Request {
            messages,
            profile: Profile {
                id: "tiny".to_string(),
                context_tokens: 1024,
                prompt_tokens,
                passages: 2,
                sentences: 2,
            },
            max_tokens: 100,
        }
    }

    fn count(text: &str) -> u32 {
        text.split_whitespace().count() as u32
    }

    fn tokens(prompt: &Prompt) -> u32 {
        prompt
            .messages
            .iter()
            .map(|message| count(&message.content) + TEMPLATE_TOKENS)
            .sum()
    }

    fn refunds() -> Vec<Passage> {
        vec![
            passage("# Refunds\n\nThe refund window\nis 41 days. Refunds are paid to the original card."),
            passage("Refunds of gifts go to the giver."),
            passage("Refund again."),
        ]
    }

    #[test]
    fn the_prompt_has_the_form_that_models_are_trained_on() {
        let prompt = build(
            &request(vec![Message::user("What is the refund window?")], 500),
            refunds(),
            count,
        )
        .unwrap();
        assert_eq!(
            prompt.messages,
            [Message::user(
                "Passages:\n[1] The refund window is 41 days. Refunds are paid to the original card.\n[2] Refunds of gifts go to the \
                 giver.\n\nQuestion: What is the refund window?"
            )]
        );
        assert_eq!(prompt.passages.len(), 2);
        assert_eq!(prompt.passages[1].text, "Refunds of gifts go to the giver.");
    }

    #[test]
    fn without_passages_the_question_goes_as_it_is() {
        let prompt = build(&request(vec![Message::user(" Hello\nyou ")], 500), Vec::new(), count).unwrap();
        assert_eq!(prompt.messages, [Message::user("Hello\nyou")]);
        assert!(prompt.passages.is_empty());
    }

    #[test]
    fn every_budget_is_kept_and_the_lowest_passage_goes_first() {
        let question = Message::user("What is the refund window?");
        let mut kept = Vec::new();
        for budget in 13..80 {
            let prompt = build(&request(vec![question.clone()], budget), refunds(), count).unwrap();
            assert!(tokens(&prompt) <= budget, "{budget}: {prompt:?}");
            kept.push(prompt.passages.len());
        }
        assert!(kept.is_sorted(), "{kept:?}");
        assert_eq!((kept.first(), kept.last()), (Some(&0), Some(&2)));
    }

    #[test]
    fn the_answer_keeps_its_room_in_the_context() {
        let mut request = request(vec![Message::user("What is the refund window?")], 500);
        request.profile.context_tokens = 120;
        let prompt = build(&request, refunds(), count).unwrap();
        assert!(tokens(&prompt) + request.max_tokens <= 120, "{prompt:?}");
    }

    #[test]
    fn the_newest_history_stays_and_system_messages_always_do() {
        let messages = vec![
            Message::system("Be brief."),
            Message::user("one one one one"),
            Message::assistant("two two two two"),
            Message::user("three"),
            Message::assistant("four"),
            Message::user("Hello"),
        ];
        let all = build(&request(messages.clone(), 500), Vec::new(), count).unwrap();
        assert_eq!(all.messages, messages);
        // Room for the assistant's "two" as well, which would then begin the conversation.
        let some = build(&request(messages.clone(), 49), Vec::new(), count).unwrap();
        let contents: Vec<&str> = some.messages.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(contents, ["Be brief.", "three", "four", "Hello"]);
        let none = build(&request(messages, 1), Vec::new(), count).unwrap();
        assert_eq!(none.messages.len(), 2);
    }

    #[test]
    fn a_conversation_that_the_user_does_not_end_is_refused() {
        let error = build(&request(vec![Message::assistant("Hi")], 500), Vec::new(), count).unwrap_err();
        assert!(matches!(error, StageError::InvalidRequest(_)));
    }
}
