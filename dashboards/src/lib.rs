//! What people look at: metrics, Grafana and Prometheus files, the web page
