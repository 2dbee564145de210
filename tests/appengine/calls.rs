//! What is asked for and what comes back.

use urlfetch::Limits;
use urlfetch::appengine::{UrlFetchService, create_rpc, make_fetch_call};
use urlfetch::lab::{Lab, Scenario};

#[tokio::test]
async fn a_call_is_a_fetch_and_an_exception_has_its_reason() {
    let lab = Lab::start().await.unwrap();
    let builder = lab.client_builder().unwrap().limits(Limits::app_engine());
    let service = UrlFetchService::new(builder.build().unwrap());
    let good = service.fetch(lab.url(Scenario::Good));
    let mut rpc = make_fetch_call(create_rpc(10), good);
    let result = rpc.get_result().await.unwrap();
    assert_eq!(result.status_code(), 200);
    assert!(result.verdict().unwrap().is_verified());
    let other = lab.url(Scenario::ValidForAnotherSite);
    let error = service.fetch(other).await.unwrap_err();
    assert!(error.is_ssl_certificate_error() && !error.is_download_error());
    assert!(error.to_string().contains("hostname-mismatch"), "{error}");
}
