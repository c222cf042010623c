//! What `/v1/coordinate` reads and prints.

use std::borrow::Cow;

use proconsul_anchors::record::Coordinate;
use serde::Serialize;

use crate::go::json::Json;
use crate::wire::decode::{DecodeError, Ignored, Place, Read, form};

/// The body of an update.
#[derive(Debug, Default)]
pub(crate) struct UpdateForm {
    node: String,
    segment: String,
    coord: Option<CoordForm>,
    ignored: Ignored,
}

form!(UpdateForm, "structs.CoordinateUpdateRequest", plain "CoordinateUpdateRequest", refuse, {
    "Datacenter" => ignored, "Node" => node, "Segment" => segment, "Coord" => coord, "Token" => ignored,
});

/// A point.
#[derive(Debug, Default)]
struct CoordForm {
    vec: Vec<Number>,
    error: Number,
    adjustment: Number,
    height: Number,
}

form!(CoordForm, "coordinate.Coordinate", plain "Coordinate", refuse, {
    "Vec" => vec, "Error" => error, "Adjustment" => adjustment, "Height" => height,
});

/// A number, whole or not.
#[derive(Clone, Copy, Debug, Default)]
struct Number(f64);

impl Read for Number {
    fn go_type() -> Cow<'static, str> {
        "float64".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Null => {}
            Json::Number(text) => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                self.0 = number.ok_or_else(|| place.misfit(text, Self::go_type()))?;
            }
            _ => return Err(place.clash(value, Self::go_type())),
        }
        Ok(())
    }
}

impl UpdateForm {
    /// The node's coordinate; nothing where none was given.
    pub(crate) fn coordinate(self) -> Option<Coordinate> {
        let coord = self.coord?;
        Some(Coordinate {
            node: self.node.into(),
            segment: self.segment.into(),
            vec: coord.vec.into_iter().map(|number| number.0).collect(),
            error: coord.error.0,
            adjustment: coord.adjustment.0,
            height: coord.height.0,
        })
    }
}

/// A node's coordinate.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CoordinateOut<'a> {
    node: &'a str,
    segment: &'a str,
    coord: CoordOut<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CoordOut<'a> {
    vec: Cow<'a, [f64]>,
    error: f64,
    adjustment: f64,
    height: f64,
}

impl<'a> CoordinateOut<'a> {
    /// With the node's name as it was asked for.
    pub(crate) fn spelt(coordinate: &'a Coordinate, node: &'a str) -> Self {
        Self { node, ..coordinate.into() }
    }
}

impl<'a> From<&'a Coordinate> for CoordinateOut<'a> {
    fn from(coordinate: &'a Coordinate) -> Self {
        let Coordinate { node, segment, vec, error, adjustment, height } = coordinate;
        Self {
            node: node.as_str(),
            segment,
            coord: CoordOut {
                vec: vec.into(),
                error: *error,
                adjustment: *adjustment,
                height: *height,
            },
        }
    }
}

/// The servers of a datacenter.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DatacenterOut<'a> {
    datacenter: &'a str,
    #[serde(rename = "AreaID")]
    area: &'static str,
    coordinates: Vec<CoordinateOut<'a>>,
}

impl<'a> DatacenterOut<'a> {
    /// As the network between the datacenters knows it.
    pub(crate) fn new(datacenter: &'a str, coordinates: Vec<CoordinateOut<'a>>) -> Self {
        Self { datacenter, area: "wan", coordinates }
    }
}
