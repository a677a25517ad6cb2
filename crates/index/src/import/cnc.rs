//! The French national list: `;`-separated, with a byte order mark, one cinema a line.

use std::collections::HashMap;

use admit_protocol::cinema::{Address, Country};
use admit_protocol::geo::Position;
use admit_protocol::text::Texts;

use super::{Imported, List, NotAList};

/// Reads the CNC's list of cinemas.
///
/// # Errors
/// When it does not have the columns of that list.
pub fn read_cnc(bytes: &[u8]) -> Result<List, NotAList> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').flexible(true).from_reader(bytes);
    let headers = reader.headers().map_err(|e| NotAList(e.to_string()))?.clone();
    let columns: HashMap<&str, usize> = headers.iter().enumerate().map(|(n, name)| (name.trim(), n)).collect();
    let column = |name: &str| {
        columns
            .get(name)
            .copied()
            .ok_or_else(|| NotAList(format!("this is not the CNC's list: there is no column {name:?}")))
    };
    let at = Columns {
        number: column("N° auto")?,
        name: column("nom")?,
        address: column("adresse")?,
        city: column("commune")?,
        region: column("région administrative")?,
        halls: column("écrans")?,
        latitude: column("latitude")?,
        longitude: column("longitude")?,
    };
    let mut list = List::default();
    for (n, record) in reader.records().enumerate() {
        let line = n + 2;
        match record {
            Ok(record) => {
                let name = record.get(at.name).unwrap_or_default();
                list.take(format!("line {line} ({name})"), at.read(&record));
            }
            Err(error) => list.take(format!("line {line}"), Err(error.to_string())),
        }
    }
    Ok(list)
}

struct Columns {
    number: usize,
    name: usize,
    address: usize,
    city: usize,
    region: usize,
    halls: usize,
    latitude: usize,
    longitude: usize,
}

impl Columns {
    fn read(&self, record: &csv::StringRecord) -> Result<Imported, String> {
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        let number = cell(self.number);
        if number.is_empty() {
            return Err("it has no number".into());
        }
        let text = |what: &str, column: usize| Texts::one("fr", cell(column)).map_err(|e| format!("{what}: {e}"));
        if cell(self.name).is_empty() {
            return Err("it has no name".into());
        }
        let degrees = |what: &str, column: usize| {
            cell(column)
                .replace(',', ".")
                .parse::<f64>()
                .map_err(|_| format!("{what} is {:?}, not a number", cell(column)))
        };
        let position =
            Position::from_degrees(degrees("latitude", self.latitude)?, degrees("longitude", self.longitude)?);
        let region = (!cell(self.region).is_empty()).then(|| text("region", self.region)).transpose()?;
        // Counts stand there as `4.0`.
        let halls = cell(self.halls).split('.').next().and_then(|n| n.parse().ok());
        Ok(Imported {
            source: format!("cnc:{number}"),
            name: text("name", self.name)?,
            address: Address {
                street: cell(self.address).to_owned(),
                postcode: String::new(),
                city: text("city", self.city)?,
                region,
                country: Country::parse("FR").map_err(|e| e.to_string())?,
            },
            position: position.map_err(|e| e.to_string())?,
            website: None,
            halls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "N° auto;nom;région administrative;adresse;commune;écrans;latitude;longitude\n";

    #[test]
    fn a_row_that_cannot_be_used_is_named() {
        let text = format!(
            "\u{feff}{HEAD}31;LE BRADY;ILE-DE-FRANCE;39 BD DE STRASBOURG;Paris;2.0;48.871;2.355\n32;NULLE PART;;;Paris;1.0;;\n33;;;;Paris;1.0;48.0;2.0\n34;LOIN;;;Paris;1.0;91.0;2.0\n"
        );
        let list = read_cnc(text.as_bytes()).expect("a list");
        assert_eq!(list.entries.len(), 1);
        assert_eq!((list.entries[0].source.as_str(), list.entries[0].halls), ("cnc:31", Some(2)));
        let why: Vec<&str> = list.refused.iter().map(|r| r.why.as_str()).collect();
        assert_eq!(why[0], "latitude is \"\", not a number");
        assert_eq!(why[1], "it has no name");
        assert!(why[2].starts_with("no place on earth"), "{}", why[2]);
        assert_eq!(list.refused[0].row, "line 3 (NULLE PART)");
    }

    #[test]
    fn another_list_is_not_taken_for_this_one() {
        assert!(read_cnc(b"a,b,c\n1,2,3\n").is_err());
        assert!(read_cnc(b"\xff\xfe\x00").is_err());
    }
}
