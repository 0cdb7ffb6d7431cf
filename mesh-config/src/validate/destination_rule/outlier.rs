//! Outlier detection.

use super::super::checker::{At, Checker};
use super::super::common::{duration, percent};
use crate::api::destination_rule::OutlierDetection;

pub(in super::super) fn check(cx: &mut Checker<'_>, at: &At<'_>, outlier: &OutlierDetection) {
    duration(cx, &at.field("interval"), outlier.interval);
    duration(cx, &at.field("baseEjectionTime"), outlier.base_ejection_time);
    if outlier.consecutive_errors != 0 {
        let message = "outlier detection consecutive errors is deprecated, use consecutiveGatewayErrors or \
                       consecutive5xxErrors instead";
        cx.warn(&at.field("consecutiveErrors"), message);
    }
    let local = outlier.consecutive_local_origin_failures.unwrap_or(0);
    if !outlier.split_external_local_origin_errors && local > 0 {
        let message = "outlier detection consecutive local origin failures is specified, but split external local origin \
                       errors is set to false";
        cx.error(&at.field("consecutiveLocalOriginFailures"), message);
    }
    percent(cx, &at.field("maxEjectionPercent"), outlier.max_ejection_percent);
    percent(cx, &at.field("minHealthPercent"), outlier.min_health_percent);
    for (index, code) in outlier.outlier_detection_http_error_codes.iter().enumerate() {
        if !(100..=599).contains(code) {
            let message = format!("HTTP status {code} is not in range 100-599");
            cx.error(&at.field("outlierDetectionHttpErrorCodes").index(index), message);
        }
    }
}
