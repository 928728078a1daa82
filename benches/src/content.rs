//! What a session holds: the same for every contender.

use serde::{Deserialize, Serialize};

/// One thing in the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// The shop's number for it.
    pub sku: String,
    /// What the page shows.
    pub title: String,
    /// How many.
    pub quantity: u32,
    /// The price of one.
    pub cents: u64,
}

/// A logged-in visitor of a shop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Content {
    /// Who is logged in; this is what the case "read" reads.
    pub user: u64,
    /// What the page greets with.
    pub name: String,
    /// A token for forms, as an application would keep one by itself.
    pub csrf: String,
    /// What grows.
    pub cart: Vec<Item>,
    /// The language.
    pub locale: String,
}

/// Where the case "read + write" counts; not there in a new session.
pub const VISITS: &str = "visits";

/// What the shop sells.
const TITLES: [&str; 4] = ["Mug, blue", "Notebook A5", "Pencils", "Desk lamp"];

/// The two sizes of most measurements.
pub const SIZES: [usize; 2] = [300, 2048];

impl Content {
    /// A session whose JSON takes so many bytes; at least some hundred, since its five keys are always there.
    pub fn of(bytes: usize) -> Self {
        let mut content = Self {
            user: 204_711,
            name: "Ada Lovelace".to_owned(),
            csrf: "kT0vX2m9Qw7RzB4nJc81sg".to_owned(),
            cart: Vec::new(),
            locale: "en-GB".to_owned(),
        };
        while content.bytes() < bytes {
            let number = content.cart.len();
            content.cart.push(Item {
                sku: format!("HW-{:05}", 10_007 * (number + 1) % 100_000),
                title: TITLES[number % TITLES.len()].to_owned(),
                quantity: 1 + number as u32 % 3,
                cents: 1990 + 350 * (number as u64 % 7),
            });
        }
        content.cut(bytes);
        content
    }

    /// Takes away what is too much: from the last title, or the last item when that is not enough; then fills up a title.
    fn cut(&mut self, bytes: usize) {
        let over = self.bytes().saturating_sub(bytes);
        let Some(last) = self.cart.last_mut() else {
            return;
        };
        if over <= last.title.len() {
            last.title.truncate(last.title.len() - over);
            return;
        }
        self.cart.pop();
        let missing = bytes.saturating_sub(self.bytes());
        let last = self.cart.last_mut().map(|item| &mut item.title);
        last.unwrap_or(&mut self.name)
            .push_str(&"+".repeat(missing));
    }

    /// The length of its JSON.
    pub fn bytes(&self) -> usize {
        serde_json::to_string(self).map_or(0, |json| json.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_long_as_it_says() {
        for bytes in [100, 300, 1000, 2048, 10_240, 102_400] {
            assert_eq!(Content::of(bytes).bytes(), bytes);
        }
    }
}
