//! Codes of countries: ISO 3166-1 alpha-2.

use std::fmt;

use crate::config::value::Mismatch;

/// The code of a country, in upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Parses a code. Databases may have codes that are no country's; in a configuration one would
    /// be a mistake.
    ///
    /// # Errors
    ///
    /// Refuses what is not the code of a country.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let code = Self::of_database(text);
        let found = code.filter(|code| CODES.split(' ').any(|known| known == code.as_str()));
        found.ok_or_else(|| {
            let hint = match code.as_ref().map(Self::as_str) {
                Some("UK") => "the United Kingdom is \"GB\"",
                Some("EL") => "Greece is \"GR\"",
                Some("EU") => "name each country of the Union",
                _ => "a code of ISO 3166-1 with two letters, such as \"DE\"",
            };
            Mismatch::new(format!("\"{text}\" is not the code of a country"), hint)
        })
    }

    /// The code in a database, if it has the form of one.
    pub(super) fn of_database(text: &str) -> Option<Self> {
        let code: [u8; 2] = text.as_bytes().try_into().ok()?;
        let is_code = code.iter().all(u8::is_ascii_alphabetic);
        is_code.then(|| Self(code.map(|letter| letter.to_ascii_uppercase())))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A number for the code, above 0.
    pub fn number(self) -> u32 {
        u16::from_be_bytes(self.0).into()
    }

    /// The code of a number.
    pub(super) fn of_number(number: u32) -> Option<Self> {
        let number = u16::try_from(number).ok().filter(|number| *number != 0)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The codes of ISO 3166-1, and XK, as databases have Kosovo.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL \
    BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE \
    DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ \
    GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM \
    KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ \
    MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN \
    PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY \
    SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF \
    WS XK YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_of_the_standard() {
        assert_eq!(Country::parse("de").unwrap().to_string(), "DE");
        assert_eq!(CODES.split(' ').count(), 250);
        for text in ["", "D", "DEU", "UK", "EU", "ZZ", "D1", "Ä"] {
            assert!(Country::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_stands_for_a_code() {
        let code = Country::parse("GB").unwrap();
        assert_eq!(Country::of_number(code.number()), Some(code));
        assert_eq!(Country::of_number(0), None);
    }
}
