{{ period_performance("month") }}
