//! Where things are: WGS 84 in integer microdegrees.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

/// A place on earth. One microdegree of latitude is about 11 cm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub struct Position {
    /// North of the equator, in microdegrees: within +-90,000,000.
    #[schemars(range(min = -90_000_000, max = 90_000_000))]
    lat_e6: i32,
    /// East of Greenwich, in microdegrees: within +-180,000,000.
    #[schemars(range(min = -180_000_000, max = 180_000_000))]
    lon_e6: i32,
}

/// A latitude or longitude that no place has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no place on earth has latitude {0} and longitude {1} (microdegrees)")]
pub struct NotOnEarth(i64, i64);

/// The mean radius of the earth in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

impl Position {
    /// The place at these microdegrees.
    ///
    /// # Errors
    /// When they are beyond a pole or beyond 180 degrees.
    pub fn new(lat_e6: i32, lon_e6: i32) -> Result<Self, NotOnEarth> {
        if lat_e6.unsigned_abs() > 90_000_000 || lon_e6.unsigned_abs() > 180_000_000 {
            return Err(NotOnEarth(lat_e6.into(), lon_e6.into()));
        }
        Ok(Self { lat_e6, lon_e6 })
    }

    /// The place at these degrees, to the nearest microdegree.
    ///
    /// # Errors
    /// When they are not numbers, or not on earth.
    pub fn from_degrees(lat: f64, lon: f64) -> Result<Self, NotOnEarth> {
        let micro = |degrees: f64| (degrees * 1e6).round();
        let (lat, lon) = (micro(lat), micro(lon));
        // NaN fails both comparisons, too.
        if lat.abs() <= 90e6 && lon.abs() <= 180e6 {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 180e6")]
            return Ok(Self { lat_e6: lat as i32, lon_e6: lon as i32 });
        }
        #[expect(clippy::cast_possible_truncation, reason = "saturates; only for the message")]
        Err(NotOnEarth(lat as i64, lon as i64))
    }

    /// Microdegrees north.
    #[must_use]
    pub fn lat_e6(&self) -> i32 {
        self.lat_e6
    }

    /// Microdegrees east.
    #[must_use]
    pub fn lon_e6(&self) -> i32 {
        self.lon_e6
    }

    /// Degrees north and east.
    #[must_use]
    pub fn degrees(&self) -> (f64, f64) {
        (f64::from(self.lat_e6) / 1e6, f64::from(self.lon_e6) / 1e6)
    }

    /// On the unit sphere: x towards (0, 0), z towards the north pole.
    #[must_use]
    pub fn unit_vector(&self) -> [f64; 3] {
        let (lat, lon) = self.degrees();
        let (lat, lon) = (lat.to_radians(), lon.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    }

    /// Metres along the great circle, on a sphere (up to 0.6 % off the ellipsoid). Right at poles and the antimeridian.
    #[must_use]
    pub fn distance_m(&self, other: &Self) -> f64 {
        let (a, b) = (self.unit_vector(), other.unit_vector());
        let chord: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        2.0 * EARTH_RADIUS_M * (chord / 2.0).min(1.0).asin()
    }

    /// The straight line through the unit sphere that spans `metres` along its surface.
    #[must_use]
    pub fn chord_of(metres: f64) -> f64 {
        2.0 * (metres / (2.0 * EARTH_RADIUS_M)).clamp(0.0, std::f64::consts::FRAC_PI_2).sin()
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(expecting = "a position, such as {\"lat_e6\": 48856600, \"lon_e6\": 2352200}")]
        struct Wire {
            lat_e6: i32,
            lon_e6: i32,
        }
        let Wire { lat_e6, lon_e6 } = Wire::deserialize(d)?;
        Self::new(lat_e6, lon_e6).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat: f64, lon: f64) -> Position {
        Position::from_degrees(lat, lon).expect("on earth")
    }

    #[test]
    fn distances_hold_at_the_odd_places_of_the_globe() {
        let prague_paris = at(50.0755, 14.4378).distance_m(&at(48.8566, 2.3522));
        assert!((prague_paris - 882_000.0).abs() < 5_000.0, "{prague_paris}");
        let over_antimeridian = at(0.0, 179.9).distance_m(&at(0.0, -179.9));
        assert!((over_antimeridian - 22_239.0).abs() < 50.0, "{over_antimeridian}");
        let over_pole = at(89.9, 0.0).distance_m(&at(89.9, 180.0));
        assert!((over_pole - 22_239.0).abs() < 50.0, "{over_pole}");
        assert!(at(0.0, 0.0).distance_m(&at(0.0, 180.0)) > 20_015_000.0);
    }

    #[test]
    fn what_is_not_on_earth_is_refused() {
        for (lat, lon) in [(90.1, 0.0), (0.0, 180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert!(Position::from_degrees(lat, lon).is_err());
        }
        assert!(serde_json::from_str::<Position>(r#"{"lat_e6":90000001,"lon_e6":0}"#).is_err());
    }
}
