# Puma with two workers and the default of five threads in each.
require_relative 'app'

bind "tcp://127.0.0.1:#{ENV.fetch('PORT')}"
environment 'production'
workers 2
threads 5, 5
# A phased restart cannot reload a preloaded app. Puma 7 preloads by default.
preload_app! false
app App.new
