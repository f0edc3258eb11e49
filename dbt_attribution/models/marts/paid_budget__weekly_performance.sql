{{ period_performance("week") }}
