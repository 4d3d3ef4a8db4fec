//! Tools that look into the tenant's table `orders (number, item, state)`: one with SQL, and one that only counts, so that an answer
//! shows which of them was called. What a test asks of a tool's failure is done for certain numbers: `trap` traps, `fail` fails.

use riad_sdk::{StageError, Tool, Tools, store, tools};

pub struct OrderTools;

impl Tools for OrderTools {
    fn offer() -> Result<Vec<Tool>, StageError> {
        Ok(vec![
            Tool::new(
                "find_order",
                "Finds an order by its number, and says what was ordered and its state.",
                &serde_json::json!({
                    "type": "object",
                    "properties": {"number": {"type": "string", "maxLength": 12}},
                    "required": ["number"],
                    "additionalProperties": false,
                }),
            ),
            Tool::new(
                "delivery_days",
                "How many working days a delivery takes.",
                &serde_json::json!({
                    "type": "object",
                    "properties": {"express": {"type": "boolean"}},
                    "required": ["express"],
                    "additionalProperties": false,
                }),
            ),
        ])
    }

    fn call(name: &str, arguments: &str) -> Result<String, StageError> {
        match name {
            "find_order" => find_order(&tools::arguments::<Order>(arguments)?.number),
            "delivery_days" => {
                let days = if tools::arguments::<Delivery>(arguments)?.express {
                    1
                } else {
                    4
                };
                Ok(format!("{days} working days"))
            }
            other => tools::unknown(other),
        }
    }
}

#[derive(serde::Deserialize)]
struct Order {
    number: String,
}

#[derive(serde::Deserialize)]
struct Delivery {
    express: bool,
}

fn find_order(number: &str) -> Result<String, StageError> {
    match number {
        "trap" => panic!("asked to"),
        "fail" => return Err(StageError::Failed("the orders are on fire".to_string())),
        _ => {}
    }
    let rows = store::query("SELECT item, state FROM orders WHERE number = ?1", &[number.into()])?;
    let Some(row) = rows.iter().next() else {
        return Err(StageError::InvalidRequest(format!("there is no order {number}")));
    };
    Ok(format!(
        "{}: {}",
        row.get::<String>("item")?,
        row.get::<String>("state")?
    ))
}

riad_sdk::export!(OrderTools => tools);
