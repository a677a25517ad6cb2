//! Money: integer minor units of an ISO 4217 currency. No floats, no hidden rounding.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::json::INTEGER_MAX;

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a currency code in upper case, such as `EUR`.
    ///
    /// # Errors
    /// When ISO 4217 has no such code.
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        // `from_code` accepts lower case, too: the wire has one way to write a currency.
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| MoneyError::UnknownCurrency)?;
        if !bytes.iter().all(u8::is_ascii_uppercase) || iso_currency::Currency::from_code(code).is_none() {
            return Err(MoneyError::UnknownCurrency);
        }
        Ok(Self(bytes))
    }

    /// The code, such as `EUR`.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many digits its minor unit has: 2 for `EUR`, 0 for `JPY`, 3 for `KWD`.
    #[must_use]
    pub fn minor_digits(&self) -> u8 {
        let exponent = iso_currency::Currency::from_code(self.code()).and_then(iso_currency::Currency::exponent);
        exponent.map_or(0, |digits| u8::try_from(digits).unwrap_or(0))
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        Self::parse(code)
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(d)?;
        Self::parse(&code).map_err(de::Error::custom)
    }
}
impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "An ISO 4217 code." })
    }
}

/// Why two amounts cannot be put together, or a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// ISO 4217 has no such currency.
    #[error("not an ISO 4217 currency code")]
    UnknownCurrency,
    /// Sums have one currency.
    #[error("amounts of {0} and {1} cannot be added")]
    TwoCurrencies(Currency, Currency),
    /// An amount stays within what JSON carries exactly: 2^53 - 1 minor units.
    #[error("the amount is out of range")]
    OutOfRange,
}

/// An amount of money in minor units: `{"amount": 1250, "currency": "EUR"}` is 12.50 euros.
///
/// ```
/// use admit_protocol::money::Money;
/// let seat = Money::new(1250, "EUR".parse()?)?;
/// let fee = Money::new(99, "EUR".parse()?)?;
/// assert_eq!(seat.plus(fee)?.to_string(), "13.49 EUR");
/// # Ok::<(), admit_protocol::money::MoneyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub struct Money {
    /// Minor units (cents, yen, fils); within +-(2^53 - 1).
    amount: i64,
    /// The currency.
    currency: Currency,
}

impl Money {
    /// An amount of `amount` minor units.
    ///
    /// # Errors
    /// When the amount is beyond +-(2^53 - 1).
    pub fn new(amount: i64, currency: Currency) -> Result<Self, MoneyError> {
        if amount.unsigned_abs() > INTEGER_MAX.unsigned_abs() {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self { amount, currency })
    }

    /// Nothing.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// In minor units.
    #[must_use]
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// Its currency.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The sum of both.
    ///
    /// # Errors
    /// When the currencies differ or the sum is out of range.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::TwoCurrencies(self.currency, other.currency));
        }
        // Both are within 2^53, so the sum fits an i64.
        Self::new(self.amount + other.amount, self.currency)
    }

    /// This less `other`.
    ///
    /// # Errors
    /// When the currencies differ or the difference is out of range.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.plus(Self { amount: -other.amount, currency: other.currency })
    }

    /// The sum of any number of amounts.
    ///
    /// # Errors
    /// When one is in another currency than `currency`, or the sum is out of range.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::plus)
    }

    /// `percent` hundredths of this, rounded half away from zero to a whole minor unit.
    #[must_use]
    pub fn percent(self, percent: u8) -> Self {
        let hundredfold = i128::from(self.amount) * i128::from(percent);
        let half = if hundredfold < 0 { -50 } else { 50 };
        let amount = i64::try_from((hundredfold + half) / 100).unwrap_or(i64::MAX);
        Self { amount: amount.clamp(-INTEGER_MAX, INTEGER_MAX), currency: self.currency }
    }

    /// Whether this is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.amount == 0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.minor_digits());
        let sign = if self.amount < 0 { "-" } else { "" };
        let plain = format!("{:0>width$}", self.amount.unsigned_abs(), width = digits + 1);
        let (whole, rest) = plain.split_at(plain.len() - digits);
        let point = if digits == 0 { "" } else { "." };
        f.pad(&format!("{sign}{whole}{point}{rest} {}", self.currency))
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(expecting = "an amount, such as {\"amount\": 1250, \"currency\": \"EUR\"} for 12.50 euro")]
        struct Wire {
            amount: i64,
            currency: Currency,
        }
        let Wire { amount, currency } = Wire::deserialize(d)?;
        Self::new(amount, currency).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(amount: i64) -> Money {
        Money::new(amount, Currency::parse("EUR").expect("EUR")).expect("in range")
    }

    #[test]
    fn currencies_have_their_own_minor_digits() {
        for (code, digits, shown) in [("EUR", 2, "12.34 EUR"), ("JPY", 0, "1234 JPY"), ("KWD", 3, "1.234 KWD")] {
            let currency = Currency::parse(code).expect(code);
            assert_eq!(currency.minor_digits(), digits);
            assert_eq!(Money::new(1234, currency).expect("in range").to_string(), shown);
        }
        assert_eq!(eur(-5).to_string(), "-0.05 EUR");
    }

    #[test]
    fn a_currency_is_written_one_way() {
        for bad in ["eur", "Eur", "EU", "EURO", "ABC", "", "€"] {
            assert_eq!(Currency::parse(bad), Err(MoneyError::UnknownCurrency), "{bad}");
        }
    }

    #[test]
    fn amounts_of_two_currencies_do_not_add() {
        let yen = Money::new(1, Currency::parse("JPY").expect("JPY")).expect("in range");
        assert!(matches!(eur(1).plus(yen), Err(MoneyError::TwoCurrencies(..))));
    }

    #[test]
    fn sums_stay_in_range() {
        assert_eq!(eur(INTEGER_MAX).plus(eur(1)), Err(MoneyError::OutOfRange));
        assert_eq!(eur(-INTEGER_MAX).minus(eur(1)), Err(MoneyError::OutOfRange));
        assert!(serde_json::from_str::<Money>(r#"{"amount":9007199254740992,"currency":"EUR"}"#).is_err());
    }

    #[test]
    fn a_percentage_rounds_half_away_from_zero() {
        assert_eq!(eur(1).percent(50), eur(1));
        assert_eq!(eur(-1).percent(50), eur(-1));
        assert_eq!(eur(1249).percent(50), eur(625));
        assert_eq!(eur(1000).percent(0), eur(0));
        assert_eq!(eur(1000).percent(100), eur(1000));
    }
}
