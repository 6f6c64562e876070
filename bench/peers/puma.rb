# Puma with two workers and its own default of five threads in each.
require_relative 'app'

bind "tcp://127.0.0.1:#{ENV.fetch('PORT')}"
environment 'production'
workers 2
threads 5, 5
# What is loaded before the workers are forked, a phased restart could not load anew; Puma 7 does that by default.
preload_app! false
app App.new
