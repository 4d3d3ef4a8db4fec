//! nginx: keys by their slot. It reads no claim; what arrives at the wrong cell it sends on, once, to the cell that the 421 names.

use super::{RouteOptions, pattern};
use crate::{Cell, CellMap};
use std::fmt::Write as _;

pub fn routes(map: &CellMap, options: &RouteOptions) -> String {
    let default = map.default_cell();
    let mut text = format!(
        "# Routes to Riad's cells for nginx, by `riad cell routes --for nginx`. Write them again when the map has changed, then reload nginx. They\n\
         # belong into `http`, as a file in conf.d does. For TLS, give `listen` a certificate.\n\
         #\n\
         # A key says its slot: riad_sk_<slot>_…, as `Authorization: Bearer` or `x-api-key`. nginx cannot read an identity provider's tokens: they\n\
         # go to the default cell, `{}`, like all that have no slot. A cell that does not serve a tenant answers 421 and names the one that does\n\
         # in `riad-cell`; there nginx sends the request again, once. For that it keeps the body, and does not stream it.\n\
         \n\
         map $http_authorization $riad_key {{\n\
         \x20   \"~*^bearer +(?<riad_bearer>[^ ]+) *$\" $riad_bearer;\n\
         \x20   default $http_x_api_key;\n\
         }}\n\
         \n\
         map $riad_key $riad_cell {{\n",
        default.name,
    );
    for cell in map.cells() {
        for keys in pattern::keys(&map.slots(&cell.name)) {
            line(&mut text, &format!("    \"~^{keys}$\" {};", upstream(cell)));
        }
    }
    line(&mut text, &format!("    default {};\n}}\n", upstream(default)));
    text +=
        "# A name that is not here is asked again at the same cell.\nmap $upstream_http_riad_cell $riad_named_cell {\n";
    for cell in map.cells() {
        line(&mut text, &format!("    {} {};", cell.name, upstream(cell)));
    }
    text += "    default $riad_cell;\n}\n";
    for cell in map.cells() {
        line(
            &mut text,
            &format!(
                "\nupstream cell_{} {{\n    server {};\n    keepalive 32;\n}}",
                cell.name,
                cell.url.authority()
            ),
        );
    }
    let is_tls = map.cells().any(|cell| cell.url.is_tls());
    if is_tls {
        text += "\nmap $proxy_host $riad_tls_name {\n    # Another one when a 421 is followed.\n    volatile;\n";
        for cell in map.cells() {
            line(&mut text, &format!("    cell_{} {};", cell.name, cell.url.host()));
        }
        text += "}\n";
    }
    text += &server(options, is_tls);
    text
}

fn server(options: &RouteOptions, is_tls: bool) -> String {
    let tls = match is_tls {
        true => {
            "    proxy_ssl_server_name on;\n\
             \x20   proxy_ssl_name $riad_tls_name;\n\
             \x20   proxy_ssl_verify on;\n\
             \x20   proxy_ssl_verify_depth 4;\n\
             \x20   proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;\n"
        }
        false => "",
    };
    format!(
        "\n\
         server {{\n\
         \x20   listen {};\n\
         \x20   # The cells have limits of their own.\n\
         \x20   client_max_body_size 0;\n\
         \x20   # Longer than a request may take (limits.request_ms).\n\
         \x20   proxy_read_timeout 11m;\n\
         \x20   proxy_http_version 1.1;\n\
         \x20   proxy_set_header Connection \"\";\n\
         \x20   proxy_set_header Host $http_host;\n\
         \x20   # Answers are streams.\n\
         \x20   proxy_buffering off;\n\
         {tls}\
         \n\
         \x20   # Not the operator's API and not /metrics: those are reached at the cells themselves.\n\
         \x20   location / {{\n\
         \x20       return 404;\n\
         \x20   }}\n\
         \x20   location ~ ^/(v1/|openapi\\.json$) {{\n\
         \x20       proxy_intercept_errors on;\n\
         \x20       error_page 421 = @riad_named_cell;\n\
         \x20       proxy_pass $riad_cell;\n\
         \x20   }}\n\
         \x20   location @riad_named_cell {{\n\
         \x20       # Read now: the variable is of the answer that is followed, until this request has one of its own.\n\
         \x20       set $riad_followed $riad_named_cell;\n\
         \x20       proxy_pass $riad_followed;\n\
         \x20   }}\n\
         }}\n",
        options.listen
    )
}

fn upstream(cell: &Cell) -> String {
    format!("{}://cell_{}", cell.url.scheme(), cell.name)
}

fn line(text: &mut String, line: &str) {
    // A text takes whatever is written to it.
    let _ = writeln!(text, "{line}");
}
